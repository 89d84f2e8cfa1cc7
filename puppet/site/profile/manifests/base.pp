# @summary What every host of the fleet has, whatever its role.
class profile::base {
  include profile::apt
  include profile::firewall
  include profile::hosts
  include profile::journald
  include profile::locale
  include profile::node_exporter
  include profile::puppet_agent
  include profile::ssh
  include profile::time
  include profile::upgrades
  include profile::wireguard
}
