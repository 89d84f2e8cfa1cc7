# @summary The host from which the others are run: Puppet Server and what belongs to it.
class role::control {
  include profile::base
  include profile::puppetserver
  include profile::puppetdb
  include profile::puppetboard
  include profile::promotion
  include profile::monitoring
}
