# @summary The name server itself: PowerDNS with its zones in SQLite, authoritative only.
#
# Debian's unit already confines it; nothing is added to that.
#
# @param settings further settings
class profile::dns::server (
  Hash[String[1], String[1]] $settings = {},
) {
  $database = '/var/lib/powerdns/pdns.sqlite3'

  package { ['pdns-server', 'pdns-backend-sqlite3', 'sqlite3']:
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
    '/usr/local/sbin/pdns-zone':
      ensure => file,
      mode   => '0755',
      source => 'puppet:///modules/profile/dns/pdns-zone',
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
    require => Exec['dns: database'],
  }

  profile::firewall::allow { 'dns':
    ports     => [53],
    protocols => ['tcp', 'udp'],
  }
}
