# @summary One site of nginx.
#
# @param content its server blocks
define profile::nginx::site (
  String[1] $content,
) {
  include profile::nginx

  file { "/etc/nginx/sites-enabled/${title}":
    ensure  => file,
    owner   => 'root',
    group   => 'root',
    mode    => '0644',
    content => $content,
    require => Package['nginx'],
    notify  => Service['nginx.service'],
  }
}
