# @summary DNS for the world: PowerDNS, with zones that are data.
#
# Which zones there are, and what this host is to each, follows the stage of the migration; without
# any zone there is no server.
#
# @param zones what the fleet is to each zone: whether it holds the content, copies it from a server
#   elsewhere, or has nothing to do with it any more
# @param servers what each host is to the zones of which the fleet holds the content; as long as
#   nobody says so, the first host for production serves them alone
# @param content what is in each zone of which the fleet holds the content
# @param ttl_limit no time to live is longer than these seconds, while a change is being made that
#   may have to be undone
# @param transfer_key name of the key that signs transfers between hosts of the fleet
# @param zone_secrets the key that signs each zone, in ISC's private-key format; every server of a
#   zone has the same
# @param transfer_secrets keys for zone transfers in base64, by name; the algorithm is HMAC-SHA256
# @param settings further settings of PowerDNS
class profile::dns (
  Hash[Profile::Dns::Name, Profile::Dns::Zone] $zones = {},
  Hash[Fleet::Name, Profile::Dns::Part] $servers = {},
  Hash[Profile::Dns::Name, Profile::Dns::Content] $content = {},
  Optional[Integer[1]] $ttl_limit = undef,
  Profile::Dns::Name $transfer_key = 'mesh',
  Sensitive[Hash[Profile::Dns::Name, String[1]]] $zone_secrets = Sensitive({}),
  Sensitive[Hash[Profile::Dns::Name, Stdlib::Base64]] $transfer_secrets = Sensitive({}),
  Hash[String[1], String[1]] $settings = {},
) {
  include fleet

  $alone = $fleet::hosts.filter |$name, $host| { $host == fleet::with_role('production')[0] }
  $parts = $servers.empty ? {
    true    => $alone.reduce({}) |$all, $pair| { $all + { $pair[0] => 'primary' } },
    default => $servers,
  }
  $primaries = $parts.filter |$name, $part| { $part == 'primary' }.keys
  unless $primaries.length == 1 {
    fail("profile::dns::servers: one host is the primary, not ${primaries.length}")
  }

  $me = $trusted['hostname']
  $part = $parts[$me]
  $peers = $parts.filter |$name, $each| { $name != $me and $each != 'absent' }.map |$name, $each| {
    $fleet::hosts[$name]['wireguard']
  }
  $mine = $zones.reduce({}) |$all, $pair| {
    [$name, $zone] = $pair
    $own = [$zone['kind'], $part] ? {
      ['primary', 'secondary']                 => {
        'kind'         => 'secondary',
        'primaries'    => [$fleet::hosts[$primaries[0]]['wireguard']],
        'transfer_key' => $transfer_key,
        'signed'       => $zone['signed'],
      },
      [Enum['primary', 'secondary'], 'primary'] => $zone,
      [Any, Undef]                             => undef,
      default                                  => { 'kind' => 'absent' },
    }
    $own ? {
      undef   => $all,
      default => $all + { $name => $own },
    }
  }

  unless $mine.empty {
    class { 'profile::dns::server':
      peers    => $peers,
      settings => $settings,
    }

    $transfer_secrets.unwrap.each |$name, $secret| {
      profile::dns::transfer_key { $name:
        secret => Sensitive($secret),
      }
    }

    # A new server is closed to the world until it has a zone.
    unless $mine.filter |$name, $zone| { $zone['kind'] != 'absent' }.empty {
      exec { 'dns: open to the world':
        command => '/usr/local/sbin/dns-ready --wait --open',
        onlyif  => '/usr/sbin/nft list table inet dns_closed',
        require => Service['dns-ready.timer'],
      }
    }

    $mine.each |$name, $zone| {
      $secret = pick($zone['signed'], false) ? {
        true  => Sensitive($zone_secrets.unwrap[$name]),
        false => undef,
      }
      # Copied from elsewhere, it is nobody else's of the fleet.
      $shared = ($zone['kind'] == 'primary' or $zone['transfer_key'] == $transfer_key)
      $others = $shared ? {
        true  => $peers,
        false => [],
      }

      case $zone['kind'] {
        'primary': {
          profile::dns::primary { $name:
            content      => $content[$name],
            ttl_limit    => $ttl_limit,
            secret       => $secret,
            peers        => $others,
            transfer_key => $transfer_key,
            before       => Exec['dns: open to the world'],
          }
        }
        'secondary': {
          profile::dns::secondary { $name:
            primaries    => $zone['primaries'],
            transfer_key => $zone['transfer_key'],
            secret       => $secret,
            peers        => $others,
            before       => Exec['dns: open to the world'],
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
