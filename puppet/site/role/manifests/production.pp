# @summary The host that serves the users.
class role::production {
  include profile::base
  include profile::dns
  include profile::web
  include profile::mail
  include profile::backup
}
