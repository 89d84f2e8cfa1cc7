# @summary The full name of a label below the fleet's domain.
# @param label the label; `@` is the domain itself
# @return the name, without the last dot
function profile::web::fqdn(Profile::Web::Label $label) >> String[1] {
  include fleet
  $label ? {
    '@'     => $fleet::domain,
    default => "${label}.${fleet::domain}",
  }
}
