# @summary PHP-FPM, with the pools of other profiles and none of its own.
#
# @param version Debian's
class profile::web::php (
  String[1] $version = '8.4',
) {
  package { "php${version}-fpm":
    ensure => installed,
  }

  # PHP does not start without any pool, and Debian's is as open as it can be.
  file { "/etc/php/${version}/fpm/pool.d/www.conf":
    ensure  => absent,
    require => Package["php${version}-fpm"],
    notify  => Service["php${version}-fpm.service"],
  }

  profile::systemd::dropin { "php${version}-fpm.service":
    content => file('profile/web/php.conf'),
    # Debian starts it as soon as it is installed.
    before  => Package["php${version}-fpm"],
  }

  service { "php${version}-fpm.service":
    ensure  => running,
    enable  => true,
    restart => "/usr/bin/systemctl reload php${version}-fpm.service",
  }
}
