# @summary Whether this host has a service.
# @param service the service
# @return whether the stage of the migration says so
function profile::web::serves(Profile::Web::Service $service) >> Boolean {
  lookup("profile::${service}::served", Boolean, 'first', false)
}
