# @summary Puppetboard: what Puppet did on every host, for people with a password.
#
# It is not in Debian. The operator brings the wheels, and pip takes only those whose checksum is
# in `files/puppetboard/requirements.txt`. Nothing is asked of the internet.
#
# @param user who may see it
# @param password what nginx's password file has for the password
# @param session_key what signs the sessions' cookies
# @param wheels where the operator puts the wheels
# @param from who may come to the page that asks for the password
class profile::puppetboard (
  Sensitive[String[1]] $password,
  Sensitive[String[32]] $session_key,
  String[1] $user = 'operator',
  Stdlib::Unixpath $wheels = '/var/lib/generalprove/wheels',
  Variant[Enum['anywhere', 'fleet', 'mesh'], Array[Stdlib::IP::Address, 1]] $from = 'anywhere',
) {
  include profile::nginx
  include profile::puppetdb

  $me = fleet::me()
  $home = '/opt/puppetboard'
  $etc = '/etc/puppetboard'
  $ssldir = '/var/lib/puppet/ssl'
  $certname = "puppetboard.${trusted['domain']}"
  $requirements = "${home}/requirements.txt"

  package { 'python3-venv':
    ensure  => installed,
    require => Exec['puppetdb: begin to start'],
  }

  user { 'puppetboard':
    ensure => present,
    system => true,
    home   => '/nonexistent',
    shell  => '/usr/sbin/nologin',
  }

  file {
    default:
      ensure => file,
      owner  => 'root',
      group  => 'puppetboard',
      mode   => '0640',
      notify => Service['puppetboard.service'],
      ;
    [$home, $etc]:
      ensure => directory,
      mode   => '0755',
      ;
    $requirements:
      mode   => '0644',
      source => 'puppet:///modules/profile/puppetboard/requirements.txt',
      ;
    "${etc}/settings.py":
      show_diff => false,
      content   => Sensitive(epp('profile/puppetboard-settings.py.epp', {
            'etc'         => $etc,
            'session_key' => $session_key,
      })),
      ;
  }

  exec {
    default:
      path => '/usr/bin',
      ;
    'puppetboard: virtual environment':
      command => "python3 -m venv ${home}/venv",
      creates => "${home}/venv/bin/pip",
      require => [Package['python3-venv'], File[$home]],
      ;
    'puppetboard: install':
      command  => join([
          "${home}/venv/bin/pip install --quiet --no-index --no-compile --require-hashes",
          "--find-links ${wheels} --requirement ${requirements}",
          "&& cp ${requirements} ${home}/installed.txt",
      ], ' '),
      provider => shell,
      unless   => "cmp --silent ${requirements} ${home}/installed.txt",
      timeout  => 600,
      require  => [Exec['puppetboard: virtual environment'], File[$requirements]],
      notify   => Service['puppetboard.service'],
      ;
    # A certificate of its own, so that the page may ask PuppetDB and do nothing else.
    'puppetboard: certificate':
      command => "puppetserver ca generate --certname ${certname}",
      creates => "${ssldir}/certs/${certname}.pem",
      require => Service['puppetserver.service'],
      ;
  }

  file {
    default:
      ensure  => file,
      owner   => 'root',
      group   => 'puppetboard',
      mode    => '0640',
      require => Exec['puppetboard: certificate'],
      notify  => Service['puppetboard.service'],
      ;
    "${etc}/key.pem":
      show_diff => false,
      source    => "${ssldir}/private_keys/${certname}.pem",
      ;
    "${etc}/cert.pem":
      source => "${ssldir}/certs/${certname}.pem",
      ;
    "${etc}/ca.pem":
      source => "${ssldir}/certs/ca.pem",
      ;
  }

  profile::systemd::unit {
    'puppetboard.service':
      content => file('profile/puppetboard/puppetboard.service'),
      notify  => Service['puppetboard.service'],
      ;
    'puppetboard.socket':
      content => file('profile/puppetboard/puppetboard.socket'),
      notify  => Service['puppetboard.socket'],
      ;
  }

  # It runs from the first visit on, so that it takes no memory before.
  service {
    'puppetboard.socket':
      ensure => running,
      enable => true,
      ;
    'puppetboard.service':
      restart => '/usr/bin/systemctl try-restart puppetboard.service',
      ;
  }

  file { '/etc/nginx/puppetboard.users':
    ensure    => file,
    owner     => 'root',
    group     => 'www-data',
    mode      => '0640',
    show_diff => false,
    content   => Sensitive("${user}:${password.unwrap}\n"),
    require   => Package['nginx'],
  }

  # What else is to be seen there, of other profiles.
  file { '/etc/nginx/dashboard.d':
    ensure  => directory,
    owner   => 'root',
    group   => 'root',
    mode    => '0755',
    recurse => true,
    purge   => true,
    require => Package['nginx'],
    notify  => Service['nginx.service'],
  }

  profile::nginx::site { 'puppetboard':
    content => epp('profile/puppetboard-nginx.conf.epp', {
        'name'        => $me['certname'],
        'certificate' => "${ssldir}/certs/${me['certname']}.pem",
        'key'         => "${ssldir}/private_keys/${me['certname']}.pem",
        'users'       => '/etc/nginx/puppetboard.users',
    }),
    require => [File['/etc/nginx/dashboard.d', '/etc/nginx/puppetboard.users'], Exec['puppetserver: certificates']],
  }

  profile::firewall::allow { 'puppetboard':
    ports => [443],
    from  => $from,
  }
}
