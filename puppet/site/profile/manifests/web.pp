# @summary The web: HAProxy at the edge, nginx behind it, PHP for the sites that have programs.
#
# Which sites this host has follows the stage of the migration; without any there is no server. Hosts
# that serve together stand in for each other: what answers here, nginx here or that of the others,
# is the edge's to see. What programs write is replicated among them.
#
# @param sites every site of the fleet
# @param served names of those that are served
# @param hosts who serves them together; production alone while there are none
# @param replicas how the hosts know each other when they replicate what programs write
# @param replica_key key of this host's certificate among them, PEM
# @param acme who issues certificates; until the stage says so there is no HTTPS
# @param account_key key of the account there, PEM
# @param passage the way to the server that the sites come from, while there is one
# @param passage_key key of the passage's certificate, PEM
# @param max_age seconds for which browsers shall remember that a name answers over HTTPS (HSTS)
class profile::web (
  Hash[Profile::Web::Name, Profile::Web::Description] $sites = {},
  Array[Profile::Web::Name] $served = [],
  Array[Fleet::Name] $hosts = [],
  Hash[Fleet::Name, Profile::Web::Replica] $replicas = {},
  Optional[Sensitive[String[1]]] $replica_key = undef,
  Optional[Profile::Web::Acme] $acme = undef,
  Optional[Sensitive[String[1]]] $account_key = undef,
  Optional[Profile::Web::Passage] $passage = undef,
  Optional[Sensitive[String[1]]] $passage_key = undef,
  Integer[0] $max_age = 0,
) {
  include fleet

  $here = $hosts.empty ? {
    true  => fleet::me()['role'] == 'production',
    false => $trusted['hostname'] in $hosts,
  }

  if $here and !$served.empty {
    $peers = $hosts - $trusted['hostname']
    $mine = $sites.filter |$name, $site| {
      $site['service'] ? {
        undef   => $name in $served,
        default => profile::web::serves($site['service']),
      }
    }

    class { 'profile::web::edge':
      sites       => $mine,
      peers       => $peers,
      thumbprint  => $acme ? {
        undef   => undef,
        default => $acme['thumbprint'],
      },
      passage     => $passage,
      passage_key => $passage_key,
      max_age     => $max_age,
    }

    include profile::web::content

    $mine.each |$name, $site| {
      profile::web::site { $name:
        site => $site,
      }
    }

    unless $peers.empty {
      class { 'profile::web::replication':
        sites    => $mine,
        peers    => $peers,
        replicas => $replicas,
        key      => $replica_key,
      }
    }

    if $acme {
      class { 'profile::web::certificates':
        sites       => $mine,
        acme        => $acme,
        account_key => $account_key,
      }
    }
  }
}
