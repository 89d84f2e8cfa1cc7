# @summary Where what the programs of a site write is exchanged.
# @param sites the sites of this host
# @return name of a site with data -> ports: `mesh`, where other hosts come in; `here`, where the
#   site's syncthing is on loopback; `peers`, the first of those by which it gets to the others
function profile::web::data_ports(
  Hash[Profile::Web::Name, Profile::Web::Description] $sites
) >> Hash[Profile::Web::Name, Struct[{ mesh => Stdlib::Port, here => Stdlib::Port, peers => Stdlib::Port }]] {
  $names = $sites.filter |$name, $site| { $site['data'] }.keys.sort
  $names.map |$number, $name| {
    [$name, { 'mesh' => 22000 + $number, 'here' => 22100 + $number, 'peers' => 22200 + 10 * $number }]
  }.convert_to(Hash)
}
