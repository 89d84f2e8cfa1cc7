# @summary The private network between the hosts: everyone to everyone, no hub.
#
# @param private_key this host's own key, as wg(8) prints it
# @param port UDP port on which every host listens
class profile::wireguard (
  Sensitive[Fleet::WireguardKey] $private_key,
  Stdlib::Port $port = 51820,
) {
  include fleet

  $me = fleet::me()
  $address = "${me['wireguard']}/${$fleet::mesh.split('/')[1]}"
  $peers = $fleet::hosts.filter |$name, $host| { $name in $fleet::enrolled and $host != $me }

  $implementation = $facts['kernel_can']['wireguard'] ? {
    true  => [],
    false => ['wireguard-go'],
  }

  package { ['wireguard-tools'] + $implementation:
    ensure => installed,
    before => Service['wg-quick@wg0.service'],
  }

  file { '/etc/wireguard/wg0.conf':
    ensure    => file,
    owner     => 'root',
    group     => 'root',
    mode      => '0600',
    show_diff => false,
    content   => Sensitive(epp('profile/wg0.conf.epp', {
          'address'     => $address,
          'port'        => $port,
          'private_key' => $private_key,
          'peers'       => $peers,
    })),
    require   => Package['wireguard-tools'],
    notify    => Service['wg-quick@wg0.service'],
  }

  service { 'wg-quick@wg0.service':
    ensure  => running,
    enable  => true,
    # wg(8)'s syncconf: peers come and go, and the others notice nothing.
    restart => '/usr/bin/systemctl reload wg-quick@wg0.service',
  }

  # The unit stays "active" when the interface is gone, and a reload does not change an address.
  exec { 'wireguard: the interface has its address':
    command => '/usr/bin/systemctl restart wg-quick@wg0.service',
    unless  => "/usr/sbin/ip -4 -o address show dev wg0 | /usr/bin/grep -qwF ${address}",
    require => Service['wg-quick@wg0.service'],
  }

  profile::firewall::allow { 'wireguard':
    ports     => [$port],
    protocols => ['udp'],
    from      => 'fleet',
  }
}
