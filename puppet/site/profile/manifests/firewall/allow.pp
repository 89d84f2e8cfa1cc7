# @summary Opens ports of this host, over IPv4 and IPv6.
#
# @param ports the ports
# @param protocols the transports
# @param from who may come: anyone, the hosts of the fleet by their public addresses, whoever
#   comes through the mesh, the hosts given that come through the mesh, or the addresses given
# @example DNS for everybody
#   profile::firewall::allow { 'dns':
#     ports     => [53],
#     protocols => ['tcp', 'udp'],
#   }
define profile::firewall::allow (
  Array[Stdlib::Port, 1] $ports,
  Array[Enum['tcp', 'udp'], 1] $protocols = ['tcp'],
  Variant[
    Enum['anywhere', 'fleet', 'mesh'],
    Array[Stdlib::IP::Address, 1],
    Struct[{ mesh => Array[Fleet::Name, 1] }]
  ] $from = 'anywhere',
) {
  include profile::firewall

  $sources = $from ? {
    'anywhere' => [''],
    'fleet'    => ['ip saddr @fleet4 ', 'ip6 saddr @fleet6 '],
    'mesh'     => ['iifname "wg0" '],
    Hash       => $from['mesh'].map |$name| { "iifname \"wg0\" ip saddr ${fleet::named($name)['wireguard']} " },
    default    => $from.map |$address| {
      $address ? {
        Stdlib::IP::Address::V6 => "ip6 saddr ${address} ",
        default                 => "ip saddr ${address} ",
      }
    },
  }

  $rules = $sources.map |$source| {
    $protocols.map |$protocol| {
      "\t\t${source}${protocol} dport { ${ports.join(', ')} } accept comment \"${title}\"\n"
    }
  }

  concat::fragment { "firewall: ${title}":
    target  => '/etc/nftables.conf',
    order   => '50',
    content => $rules.flatten.join,
  }
}
