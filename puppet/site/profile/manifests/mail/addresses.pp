# @summary Which addresses there are, as tables of Postfix.
#
# Tables of text: Postfix reads them as they are, and there is no second file to be out of date.
#
# @param default_domain the domain of names without one
# @param domains every domain that mail is taken for
# @param mailboxes addresses with a mailbox
# @param aliases address, or `@domain`, -> addresses that get its mail
# @param discards addresses whose mail is accepted and thrown away
class profile::mail::addresses (
  Profile::Mail::Domain $default_domain,
  Array[Profile::Mail::Domain, 1] $domains,
  Array[Profile::Mail::Address] $mailboxes,
  Hash[Profile::Mail::Source, Array[Profile::Mail::Address, 1]] $aliases,
  Array[Profile::Mail::Address] $discards,
) {
  $taken = ($mailboxes + $discards).map |$address| { $address.downcase }
  $given = $aliases.reduce({}) |$all, $pair| { $all + { $pair[0].downcase => $pair[1] } }

  # An `@domain` would take the mail of the mailboxes in it as well.
  $themselves = $taken.filter |$address| { "@${address.split('@')[1]}" in $given }
  $kept = $themselves.reduce({}) |$all, $address| { $all + { $address => [$address] } }
  # What the system itself has to say.
  $system = { "root@${default_domain}" => ["postmaster@${default_domain}"] }
  $sent_on = $system + $kept + $given

  $tables = {
    'domains'   => $domains.reduce({}) |$all, $domain| { $all + { $domain => 'ours' } },
    'mailboxes' => $taken.reduce({}) |$all, $address| { $all + { $address => 'here' } },
    'aliases'   => $sent_on.reduce({}) |$all, $pair| { $all + { $pair[0] => $pair[1].join(', ') } },
    'transport' => $discards.reduce({}) |$all, $address| { $all + { $address.downcase => 'discard:nobody reads it' } },
  }

  $tables.each |$name, $table| {
    $lines = $table.keys.sort.map |$key| { "${key}\t${table[$key]}\n" }

    file { "/etc/postfix/${name}":
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      content => "# Managed by Puppet.\n${lines.join}",
      require => Package['postfix'],
      before  => File['/etc/postfix/main.cf'],
      notify  => Service['postfix.service'],
    }
  }
}
