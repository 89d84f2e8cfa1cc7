# @summary Nothing comes in but what a profile allows, over IPv4 and IPv6 alike.
#
# The ruleset is one file and takes effect as one transaction; there is no moment without rules,
# neither at boot (nftables.service is ordered before the network) nor when they change.
class profile::firewall {
  include fleet

  package { 'nftables':
    ensure => installed,
  }

  concat { '/etc/nftables.conf':
    owner        => 'root',
    group        => 'root',
    mode         => '0755',
    validate_cmd => '/usr/sbin/nft --check --file %',
    require      => Package['nftables'],
    notify       => Service['nftables.service'],
  }

  concat::fragment {
    default:
      target => '/etc/nftables.conf',
      ;
    'firewall: head':
      order   => '00',
      content => epp('profile/nftables-head.epp', { 'hosts' => $fleet::hosts.values }),
      ;
    'firewall: tail':
      order   => '99',
      content => epp('profile/nftables-tail.epp'),
      ;
  }

  # An upgrade of the package restarts the unit, and stopping it would open every port.
  profile::systemd::dropin { 'nftables.service':
    content => "[Service]\nExecStop=\n",
    before  => Service['nftables.service'],
  }

  service { 'nftables.service':
    ensure  => running,
    enable  => true,
    restart => '/usr/bin/systemctl reload nftables.service',
  }

  # The unit stays "active" whatever becomes of the rules in the kernel.
  exec { 'firewall: rules are in force':
    command => '/usr/bin/systemctl reload nftables.service',
    unless  => '/usr/sbin/nft list chain inet fleet input',
    require => Service['nftables.service'],
  }
}
