# @summary The right time, from the internet, by chrony.
#
# Where the kernel does not let this machine set its clock (a container shares it with the host
# beneath), chrony still runs and measures, and leaves the clock alone.
#
# @param pools names of pools of NTP servers
class profile::time (
  Array[Stdlib::Host, 1] $pools,
) {
  package { 'chrony':
    ensure => installed,
  }

  $sets_clock = $facts['kernel_can']['set_clock']
  $options = $sets_clock ? {
    true  => '-F 1',
    false => '-F 1 -x',
  }

  file {
    default:
      owner   => 'root',
      group   => 'root',
      require => Package['chrony'],
      notify  => Service['chrony.service'],
      ;
    '/etc/chrony/chrony.conf':
      ensure  => file,
      mode    => '0644',
      content => epp('profile/chrony.conf.epp', {
          'pools'      => $pools,
          'sets_clock' => $sets_clock,
      }),
      ;
    '/etc/default/chrony':
      ensure  => file,
      mode    => '0644',
      content => "# Managed by Puppet.\nDAEMON_OPTS=\"${options}\"\n",
      ;
    '/etc/systemd/system/chrony.service.d':
      ensure => directory,
      mode   => '0755',
      ;
    # Debian's unit is skipped on a machine that may not set its clock.
    '/etc/systemd/system/chrony.service.d/fleet.conf':
      ensure  => stdlib::ensure(!$sets_clock, 'file'),
      mode    => '0644',
      content => "# Managed by Puppet.\n[Unit]\nConditionCapability=\n",
      ;
  }

  service { 'chrony.service':
    ensure => running,
    enable => true,
  }
}
