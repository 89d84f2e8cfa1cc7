# @summary Whether this host has the mail: production alone, or whoever has it together.
# @param served whether the fleet has a mail server of ours, by the stage of the migration
# @param hosts who has the mail together; production alone while there are none
# @return whether this one has
function profile::mail::here(Boolean $served, Array[Fleet::Name] $hosts) >> Boolean {
  $served and ($hosts.empty ? {
      true  => fleet::me()['role'] == 'production',
      false => $trusted['hostname'] in $hosts,
  })
}
