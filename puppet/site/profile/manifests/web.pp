# @summary The web: HAProxy at the edge, nginx behind it, PHP for the sites that have programs.
#
# Which sites this host has follows the stage of the migration; without any there is no server.
#
# @param sites every site of the fleet
# @param served names of those that this host serves
# @param acme who issues certificates; until the stage says so there is no HTTPS
# @param account_key key of the account there, PEM
# @param passage the way to the server that the sites come from, while there is one
# @param passage_key key of the passage's certificate, PEM
# @param max_age seconds for which browsers shall remember that a name answers over HTTPS (HSTS)
class profile::web (
  Hash[Profile::Web::Name, Profile::Web::Description] $sites = {},
  Array[Profile::Web::Name] $served = [],
  Optional[Profile::Web::Acme] $acme = undef,
  Optional[Sensitive[String[1]]] $account_key = undef,
  Optional[Profile::Web::Passage] $passage = undef,
  Optional[Sensitive[String[1]]] $passage_key = undef,
  Integer[0] $max_age = 0,
) {
  include fleet

  unless $served.empty {
    $mine = $sites.filter |$name, $site| {
      $site['service'] ? {
        undef   => $name in $served,
        default => profile::web::serves($site['service']),
      }
    }

    class { 'profile::web::edge':
      sites       => $mine,
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

    if $acme {
      class { 'profile::web::certificates':
        sites       => $mine,
        acme        => $acme,
        account_key => $account_key,
      }
    }
  }
}
