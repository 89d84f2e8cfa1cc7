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
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      require => Package['chrony'],
      notify  => Service['chrony.service'],
      ;
    '/etc/chrony/chrony.conf':
      content => epp('profile/chrony.conf.epp', {
          'pools'      => $pools,
          'sets_clock' => $sets_clock,
      }),
      ;
    '/etc/default/chrony':
      content => "# Managed by Puppet.\nDAEMON_OPTS=\"${options}\"\n",
      ;
  }

  # Debian's unit is skipped on a machine that may not set its clock.
  profile::systemd::dropin { 'chrony.service':
    ensure  => stdlib::ensure(!$sets_clock),
    content => "[Unit]\nConditionCapability=\n",
    notify  => Service['chrony.service'],
  }

  service { 'chrony.service':
    ensure => running,
    enable => true,
  }
}
