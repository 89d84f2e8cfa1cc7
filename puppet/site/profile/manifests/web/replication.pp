# @summary What the programs of the sites write, the same on every host that serves them.
#
# Each site has a syncthing of its own, which runs as the site's user and talks to that of the same
# site on the other hosts, by way of the edges and through the mesh alone: nothing looks for anybody
# (no discovery, no relays, no NAT), and there is no interface. Files to which lines are appended are not exchanged as files:
# two hosts that write at once would each lose the other's lines (files/web/web_lines.py).
#
# @param sites the sites of this host
# @param peers hosts that serve the same sites
# @param replicas how each host is known, this one among them
# @param key key of this host's certificate, PEM
class profile::web::replication (
  Hash[Profile::Web::Name, Profile::Web::Description, 1] $sites,
  Array[Fleet::Name, 1] $peers,
  Hash[Fleet::Name, Profile::Web::Replica] $replicas,
  Sensitive[String[1]] $key,
) {
  include profile::python3

  $with_data = $sites.filter |$name, $site| { $site['data'] }
  $ports = profile::web::data_ports($sites)

  # Debian's units are for people who synchronize their home; none of them is enabled.
  package { 'syncthing':
    ensure => installed,
  }

  file {
    default:
      ensure => file,
      owner  => 'root',
      group  => 'root',
      mode   => '0644',
      ;
    ['/etc/web-replica', '/var/lib/web-replica', '/var/lib/web-lines']:
      ensure => directory,
      mode   => '0755',
      ;
    '/usr/local/sbin/web-lines':
      mode    => '0755',
      source  => 'puppet:///modules/profile/web/web_lines.py',
      require => Package['python3'],
      ;
  }

  $with_data.each |$name, $site| {
    profile::web::replicated { $name:
      site     => $site,
      ports    => $ports[$name],
      peers    => $peers,
      replicas => $replicas,
      key      => $key,
    }
  }

  unless $with_data.empty {
    profile::firewall::allow { 'web data':
      ports => $ports.values.map |$each| { $each['mesh'] },
      from  => { 'mesh' => $peers },
    }
  }
}
