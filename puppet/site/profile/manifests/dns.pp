# @summary DNS for the world: PowerDNS, with zones that are data.
#
# Which zones there are, and what this host is to each, follows the stage of the migration; without
# any zone there is no server.
#
# @param zones what this host is to each zone
# @param content what is in each zone of which this host is the primary
# @param ttl_limit no time to live is longer than these seconds, while a change is being made that
#   may have to be undone
# @param zone_secrets the key that signs each zone, in ISC's private-key format; every server of a
#   zone has the same
# @param transfer_secrets keys for zone transfers in base64, by name; the algorithm is HMAC-SHA256
# @param settings further settings of PowerDNS
class profile::dns (
  Hash[Profile::Dns::Name, Profile::Dns::Zone] $zones = {},
  Hash[Profile::Dns::Name, Profile::Dns::Content] $content = {},
  Optional[Integer[1]] $ttl_limit = undef,
  Sensitive[Hash[Profile::Dns::Name, String[1]]] $zone_secrets = Sensitive({}),
  Sensitive[Hash[Profile::Dns::Name, Stdlib::Base64]] $transfer_secrets = Sensitive({}),
  Hash[String[1], String[1]] $settings = {},
) {
  unless $zones.empty {
    class { 'profile::dns::server':
      settings => $settings,
    }

    $transfer_secrets.unwrap.each |$name, $secret| {
      profile::dns::transfer_key { $name:
        secret => Sensitive($secret),
      }
    }

    $zones.each |$name, $zone| {
      case $zone['kind'] {
        'primary': {
          $secret = $zone_secrets.unwrap[$name]

          profile::dns::primary { $name:
            content   => $content[$name],
            ttl_limit => $ttl_limit,
            secret    => pick($zone['signed'], false) ? {
              true  => Sensitive($secret),
              false => undef,
            },
          }
        }
        'secondary': {
          profile::dns::secondary { $name:
            primaries    => $zone['primaries'],
            transfer_key => $zone['transfer_key'],
          }
        }
        default: {
          exec { "dns: remove ${name}":
            command => "/usr/bin/pdnsutil delete-zone ${name} && /usr/bin/pdns_control purge '${name}\$'",
            onlyif  => "/usr/bin/pdnsutil show-zone ${name}",
            require => Class['profile::dns::server'],
          }
        }
      }
    }
  }
}
