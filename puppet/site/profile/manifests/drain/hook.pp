# @summary What a service has to be told when its host is drained, and when it is open again.
#
# @param content a program; it is called with `on` or `off`, as often as anybody likes
define profile::drain::hook (
  String[1] $content,
) {
  include profile::drain

  file { "/etc/fleet/drain.d/${title}":
    ensure  => file,
    owner   => 'root',
    group   => 'root',
    mode    => '0755',
    content => $content,
  }
}
