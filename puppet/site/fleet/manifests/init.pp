# @summary The fleet at this site, as the operator rendered it from the one description of it.
#
# It declares nothing. Profiles include it to learn of the other hosts.
#
# @param site the site: the real servers or a rehearsal; for people, never for decisions
# @param domain what the users know: web, mail and DNS live there
# @param contact who answers for the fleet, a mail address
# @param mesh the network of the private addresses between the hosts
# @param hosts every host by its short name, whether Puppet knows it already or not
# @param enrolled short names of the hosts that Puppet knows; the stage may override it
# @param watched whether the control host watches them all; the stage says so
class fleet (
  String[1] $site,
  Stdlib::Fqdn $domain,
  String[1] $contact,
  Stdlib::IP::Address::V4::CIDR $mesh,
  Hash[Fleet::Name, Fleet::Host] $hosts,
  Array[Fleet::Name] $enrolled,
  Boolean $watched = false,
) {
}
