# @summary PostgreSQL for PuppetDB alone: small, and reachable from this host only.
#
# @param version of the server that this Debian has
# @param settings what differs from Debian's configuration, by name
class profile::postgresql (
  Integer[1] $version,
  Hash[Pattern[/\A[a-z_.]+\z/], Variant[Integer, String[1]]] $settings,
) {
  package { 'postgresql':
    ensure => installed,
  }

  $lines = $settings.map |$name, $value| { "${name} = '${value}'\n" }

  file { "/etc/postgresql/${version}/main/conf.d/fleet.conf":
    ensure  => file,
    owner   => 'root',
    group   => 'root',
    mode    => '0644',
    content => "# Managed by Puppet.\n${lines.join}",
    require => Package['postgresql'],
    notify  => Service['postgresql.service'],
  }

  service { 'postgresql.service':
    ensure => running,
    enable => true,
  }
}
