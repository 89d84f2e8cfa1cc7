# @summary Who has a mailbox, and who may log in.
#
# Two files: the first names every mailbox and nothing else, the second everything that somebody
# may log in with. Whoever is locked is not in the second, and a bare name is no second mailbox.
#
# @param mailboxes every mailbox by its address
# @param password_secrets address -> hash of the password
class profile::mail::users (
  Hash[Profile::Mail::Address, Profile::Mail::Mailbox] $mailboxes,
  Sensitive[Hash[Profile::Mail::Address, String[1]]] $password_secrets,
) {
  $names = $mailboxes.keys.sort.map |$address| { "${address.downcase}:::::::\n" }

  $admitted = $mailboxes.keys.sort.filter |$address| { !pick($mailboxes[$address]['locked'], false) }
  $passwords = $admitted.map |$address| {
    $user = $address.downcase
    $hash = $password_secrets.unwrap[$address]
    $login = $mailboxes[$address]['login']
    $bare = $login ? {
      undef   => '',
      default => "${login}:${hash}::::::user=${user}\n",
    }
    "${user}:${hash}::::::\n${bare}"
  }

  file {
    default:
      ensure  => file,
      owner   => 'root',
      group   => 'dovecot',
      require => Package['dovecot-core'],
      before  => File['/etc/dovecot/dovecot.conf'],
      ;
    '/etc/dovecot/users':
      mode    => '0644',
      content => "# Managed by Puppet.\n${names.join}",
      ;
    '/etc/dovecot/passwords':
      mode      => '0640',
      show_diff => false,
      content   => Sensitive("# Managed by Puppet.\n${passwords.join}"),
      ;
  }
}
