# @summary Where content lies and what reads it: nginx on loopback, PHP-FPM on sockets.
class profile::web::content {
  include profile::nginx

  file { '/srv/www':
    ensure => directory,
    owner  => 'root',
    group  => 'root',
    mode   => '0755',
  }

  # The table of types that Apache reads as well; nginx's own calls some files otherwise.
  package { 'media-types':
    ensure => installed,
  }

  exec { 'web: types of files':
    command  => "awk '!/^#/ && NF > 1 { out = \"\"; for (i = 2; i <= NF; i++) if (!seen[tolower(\$i)]++) \
out = out \" \" \$i; if (out != \"\") print \$1 out \";\" }' /etc/mime.types >/etc/nginx/fleet.types",
    provider => shell,
    unless   => 'test /etc/nginx/fleet.types -nt /etc/mime.types',
    require  => Package['media-types', 'nginx'],
    notify   => Service['nginx.service'],
  }

  profile::systemd::dropin { 'nginx.service':
    content => file('profile/web/nginx.conf'),
    # Debian starts it as soon as it is installed.
    before  => Package['nginx'],
  }

  # Debian's own site is gone with the next reload, and its port with it, a moment later.
  exec { 'web: nginx leaves the edge':
    command  => 'timeout 20 sh -c "while ss -Htlnp sport = :80 | grep -q nginx; do sleep 0.1; done"',
    provider => shell,
    onlyif   => 'ss -Htlnp sport = :80 | grep -q nginx',
    require  => Class['profile::nginx'],
    before   => File['/etc/haproxy/haproxy.cfg'],
  }
}
