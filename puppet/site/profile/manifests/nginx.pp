# @summary nginx, with the sites of other profiles and none of its own.
class profile::nginx {
  include fleet

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

  if $fleet::watched {
    $status = 'http://127.0.0.1:8089/status'

    profile::nginx::site { 'status':
      content => file('profile/metrics/nginx-status.conf'),
    }

    profile::systemd::dropin { 'prometheus-nginx-exporter.service':
      content => file('profile/metrics/exporter.conf'),
      notify  => Service['prometheus-nginx-exporter.service'],
    }

    -> package { 'prometheus-nginx-exporter':
      ensure => installed,
    }

    -> file { '/etc/default/prometheus-nginx-exporter':
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      content => "# Managed by Puppet.\nARGS=\"--web.listen-address=127.0.0.1:9113 --nginx.scrape-uri=${status}\"\n",
    }

    ~> service { 'prometheus-nginx-exporter.service':
      ensure => running,
      enable => true,
    }

    profile::metrics { 'nginx':
      port => 9113,
    }
  }
}
