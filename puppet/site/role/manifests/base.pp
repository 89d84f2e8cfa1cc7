# @summary A host that Puppet knows, with no service of its own yet.
class role::base {
  include profile::base
}
