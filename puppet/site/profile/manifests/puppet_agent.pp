# @summary Puppet's own agent: a run every now and then from a timer, no daemon.
#
# A daemon would hold memory for ever, and would choose its moments itself.
#
# @param interval minutes between two runs; the hosts take turns within it
class profile::puppet_agent (
  Integer[10, 60] $interval = 30,
) {
  include fleet

  $me = fleet::me()
  $server = fleet::with_role('control')[0]['certname']
  $minute = fleet::stagger($interval)

  package { 'puppet-agent':
    ensure => installed,
  }

  # Nobody asks for this fact, and it takes longer than all others together: 0.6 of 1.0 seconds.
  file {
    default:
      owner   => 'root',
      group   => 'root',
      require => Package['puppet-agent'],
      ;
    '/etc/facter':
      ensure => directory,
      mode   => '0755',
      ;
    '/etc/facter/facter.conf':
      ensure  => file,
      mode    => '0644',
      content => "# Managed by Puppet.\nfacts : {\n  blocklist : [ \"augeas\" ]\n}\n",
      ;
  }

  # Puppet Server's profile adds a section of its own.
  concat { '/etc/puppet/puppet.conf':
    owner   => 'root',
    group   => 'root',
    mode    => '0644',
    require => Package['puppet-agent'],
  }

  concat::fragment { 'puppet.conf: agent':
    target  => '/etc/puppet/puppet.conf',
    order   => '10',
    content => epp('profile/puppet.conf.epp', {
        'certname' => $me['certname'],
        'server'   => $server,
    }),
  }

  profile::systemd::unit {
    default:
      before => Service['puppet-run.timer'],
      ;
    'puppet-run.service':
      content => file('profile/puppet-run.service'),
      ;
    'puppet-run.timer':
      content => epp('profile/puppet-run.timer.epp', {
          'minute'   => $minute,
          'interval' => $interval,
      }),
      notify  => Service['puppet-run.timer'],
      ;
  }

  service {
    default:
      require => Package['puppet-agent'],
      ;
    'puppet.service':
      ensure => stopped,
      enable => false,
      ;
    'puppet-run.timer':
      ensure => running,
      enable => true,
      ;
  }
}
