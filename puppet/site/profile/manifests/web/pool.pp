# @summary The PHP of one site, as a user of its own who may write to the site's data only.
#
# @param home directory of the site
define profile::web::pool (
  Stdlib::Unixpath $home,
) {
  include profile::web::php

  $user = "web-${title}"
  $version = $profile::web::php::version

  user { $user:
    ensure => present,
    system => true,
    home   => '/nonexistent',
    shell  => '/usr/sbin/nologin',
  }

  file { "${home}/shared":
    ensure => directory,
    owner  => $user,
    group  => $user,
    mode   => '0750',
  }

  file { "/etc/php/${version}/fpm/pool.d/${title}.conf":
    ensure  => file,
    owner   => 'root',
    group   => 'root',
    mode    => '0644',
    content => epp('profile/web/pool.conf.epp', {
        'name' => $title,
        'user' => $user,
        'home' => $home,
    }),
    require => Package["php${version}-fpm"],
    notify  => Service["php${version}-fpm.service"],
  }
}
