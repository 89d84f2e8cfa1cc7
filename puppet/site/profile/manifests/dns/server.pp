# @summary The name server itself: PowerDNS with its zones in SQLite, authoritative only.
#
# Debian's unit already confines it; added to that is that the world is answered only when zones and
# health checks are of today (`dns-ready`).
#
# @param peers private addresses of the other hosts of the fleet that serve the same zones
# @param settings further settings
class profile::dns::server (
  Array[Stdlib::IP::Address::Nosubnet] $peers = [],
  Hash[String[1], String[1]] $settings = {},
) {
  $database = '/var/lib/powerdns/pdns.sqlite3'

  # Debian starts a service when it is installed.
  profile::systemd::dropin { 'pdns.service':
    content => file('profile/dns/pdns.conf'),
    before  => Package['pdns-server'],
  }

  package { ['pdns-server', 'pdns-backend-sqlite3', 'python3-dnspython', 'sqlite3']:
    ensure => installed,
  }

  file {
    default:
      owner   => 'root',
      group   => 'root',
      require => Package['pdns-server'],
      ;
    '/etc/powerdns/pdns.conf':
      ensure  => file,
      group   => 'pdns',
      mode    => '0640',
      content => epp('profile/dns/pdns.conf.epp', {
          'database' => $database,
          'settings' => $settings,
      }),
      notify  => Service['pdns.service'],
      ;
    '/etc/powerdns/zones':
      ensure  => directory,
      mode    => '0755',
      recurse => true,
      purge   => true,
      ;
    '/etc/powerdns/keys':
      ensure  => directory,
      mode    => '0700',
      recurse => true,
      purge   => true,
      ;
    '/etc/powerdns/peers':
      ensure  => file,
      mode    => '0644',
      content => $peers.map |$peer| { "${peer}\n" }.join,
      ;
    '/etc/powerdns/live-signing.lua':
      ensure => file,
      mode   => '0644',
      source => 'puppet:///modules/profile/dns/live-signing.lua',
      ;
    '/etc/powerdns/closed.nft':
      ensure => file,
      mode   => '0644',
      source => 'puppet:///modules/profile/dns/closed.nft',
      before => Service['pdns.service'],
      ;
    '/usr/local/sbin/pdns-zone':
      ensure => file,
      mode   => '0755',
      source => 'puppet:///modules/profile/dns/pdns-zone',
      ;
    '/usr/local/sbin/dns-ready':
      ensure => file,
      mode   => '0755',
      source => 'puppet:///modules/profile/dns/ready.py',
      before => Service['pdns.service'],
      ;
  }

  # Made aside, so that an interruption leaves no half of a database.
  exec { 'dns: database':
    command => "/usr/bin/rm -f ${database}.new; \
/usr/bin/sqlite3 ${database}.new </usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql && \
/usr/bin/mv ${database}.new ${database}",
    creates => $database,
    user    => 'pdns',
    require => Package['pdns-backend-sqlite3', 'sqlite3'],
  }

  service { 'pdns.service':
    ensure  => running,
    enable  => true,
    require => [Exec['dns: database'], Package['nftables']],
  }

  ['dns-ready.service', 'dns-ready.timer'].each |$unit| {
    profile::systemd::unit { $unit:
      content => file("profile/dns/${unit}"),
    }
  }

  service { 'dns-ready.timer':
    ensure  => running,
    enable  => true,
    require => [
      Profile::Systemd::Unit['dns-ready.service', 'dns-ready.timer'],
      File['/usr/local/sbin/dns-ready', '/etc/powerdns/peers'],
      Package['python3-dnspython'],
    ],
  }

  profile::firewall::allow { 'dns':
    ports     => [53],
    protocols => ['tcp', 'udp'],
  }
}
