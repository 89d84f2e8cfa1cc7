# @summary Looks at the zones as a resolver does, every half minute.
#
# Names are looked up by this host's resolver, which must say that it has verified them. Then every
# server is asked for itself: serial numbers, signatures, and addresses must be the same everywhere.
#
# @param lookups labels that are looked up as users do
class profile::monitoring::look (
  Array[Profile::Web::Label, 1] $lookups = ['@', 'www'],
) {
  include fleet

  $zones = lookup('profile::dns::zones', Hash, 'first', {})
  $content = lookup('profile::dns::content', Hash, 'first', {})
  $kept = $content.filter |$origin, $zone| { $origin in $zones }

  profile::monitoring::task { 'fleet-look':
    describe => 'Looks at the zones as a resolver does',
    packages => ['python3-dnspython'],
    config   => {
      'lookups' => $lookups.map |$label| { profile::web::fqdn($label) },
      'servers' => Hash(fleet::serving('dns').map |$name| {
          [$name, [$fleet::hosts[$name]['v4'], $fleet::hosts[$name]['v6']]]
      }),
      'zones'   => Hash($kept.map |$origin, $zone| {
          [$origin, {
              'signed' => pick($zones[$origin]['signed'], false),
              'names'  => $zone['records'].filter |$it| {
                $it['type'] in ['A', 'AAAA', 'LUA'] and $it['name'] !~ /\*/
              }.map |$it| { $it['name'] }.unique,
              'lua'    => $zone['records'].filter |$it| { $it['type'] == 'LUA' }.map |$it| { $it['name'] }.unique,
          }]
      }),
    },
  }
}
