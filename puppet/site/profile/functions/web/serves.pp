# @summary Whether this host has a service.
# @param service the service
# @return whether the stage of the migration says so
function profile::web::serves(Profile::Web::Service $service) >> Boolean {
  $mail = profile::mail::here(
    lookup('profile::mail::served', Boolean, 'first', false),
    lookup('profile::mail::hosts', Array, 'first', []),
  )
  $service ? {
    # Senders that were told once come back: there is a policy only when somebody has decided on one.
    'mta-sts' => $mail and lookup('profile::mail::mta_sts_mode', Optional[String], 'first', undef) =~ NotUndef,
    default   => $mail,
  }
}
