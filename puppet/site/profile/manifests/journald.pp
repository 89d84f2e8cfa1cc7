# @summary The journal: kept over a restart, and never the reason for a full disk.
#
# @param max_use most that it may take on disk, in journald.conf(5)'s notation
# @param max_retention how long an entry is kept, in systemd.time(7)'s notation
class profile::journald (
  String[1] $max_use,
  String[1] $max_retention,
) {
  file { '/etc/systemd/journald.conf.d':
    ensure => directory,
    owner  => 'root',
    group  => 'root',
    mode   => '0755',
  }

  file { '/etc/systemd/journald.conf.d/fleet.conf':
    ensure  => file,
    owner   => 'root',
    group   => 'root',
    mode    => '0644',
    content => @("CONF"),
      # Managed by Puppet.
      [Journal]
      Storage=persistent
      SystemMaxUse=${max_use}
      RuntimeMaxUse=64M
      MaxRetentionSec=${max_retention}
      | CONF
    notify  => Service['systemd-journald.service'],
  }

  service { 'systemd-journald.service':
    ensure => running,
  }
}
