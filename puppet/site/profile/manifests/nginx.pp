# @summary nginx, with the sites of other profiles and none of its own.
class profile::nginx {
  package { 'nginx':
    ensure => installed,
  }

  file { '/etc/nginx/sites-enabled/default':
    ensure  => absent,
    require => Package['nginx'],
    notify  => Service['nginx.service'],
  }

  service { 'nginx.service':
    ensure  => running,
    enable  => true,
    # Whoever is being served is served to the end.
    restart => '/usr/bin/systemctl reload nginx.service',
  }
}
