# @summary A unit of our own, known to systemd as soon as it is written.
#
# @param content the whole of it, but for the line that says who wrote it
# @example
#   profile::systemd::unit { 'thing.service':
#     content => file('profile/thing.service'),
#     notify  => Service['thing.service'],
#   }
define profile::systemd::unit (
  String[1] $content,
) {
  file { "/etc/systemd/system/${title}":
    ensure  => file,
    owner   => 'root',
    group   => 'root',
    mode    => '0644',
    content => "# Managed by Puppet.\n${content}",
  }

  # Puppet reloads by itself for the service it is about to start, and for no other.
  ~> exec { "systemd: read ${title}":
    command     => '/usr/bin/systemctl daemon-reload',
    refreshonly => true,
  }
}
