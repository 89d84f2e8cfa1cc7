# @summary The host that serves the users together with production, and alone when that is down.
class role::standby {
  include profile::base
  include profile::dns
  include profile::web
  include profile::mail
}
