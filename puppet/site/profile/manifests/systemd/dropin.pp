# @summary What we add to a unit of Debian's, or take from it.
#
# @param content the whole of it, but for the line that says who wrote it
# @param ensure whether it is there
# @example
#   profile::systemd::dropin { 'thing.service':
#     content => "[Service]\nRestart=always\n",
#     notify  => Service['thing.service'],
#   }
define profile::systemd::dropin (
  String[1] $content,
  Enum['present', 'absent'] $ensure = 'present',
) {
  file { "/etc/systemd/system/${title}.d":
    ensure => directory,
    owner  => 'root',
    group  => 'root',
    mode   => '0755',
  }

  file { "/etc/systemd/system/${title}.d/fleet.conf":
    ensure  => stdlib::ensure($ensure, 'file'),
    owner   => 'root',
    group   => 'root',
    mode    => '0644',
    content => "# Managed by Puppet.\n${content}",
  }

  ~> exec { "systemd: read additions to ${title}":
    command     => '/usr/bin/systemctl daemon-reload',
    refreshonly => true,
  }
}
