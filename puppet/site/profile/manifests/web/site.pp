# @summary One site: releases side by side, and a link to the one in force.
#
# @param site what it is
define profile::web::site (
  Profile::Web::Description $site,
) {
  $home = "/srv/www/${title}"
  $php = pick($site['php'], false)

  unless $site['forward'] {
    file { [$home, "${home}/releases"]:
      ensure => directory,
      owner  => 'root',
      group  => 'root',
      mode   => '0755',
    }
  }

  if $php {
    profile::web::pool { $title:
      home => $home,
    }
  }

  profile::nginx::site { $title:
    content => epp('profile/web/site.conf.epp', {
        'name'   => $title,
        'home'   => $home,
        'site'   => $site,
        'socket' => "/run/php/${title}.sock",
    }),
    require => Exec['web: types of files'],
  }
}
