# @summary Mail: Postfix takes and sends it, Dovecot keeps it, rspamd judges and signs it.
#
# Nothing is installed until the stage of the migration says so. Addresses and mailboxes are data
# that the operator read from the server that they come from.
#
# @param served whether the fleet has the mail
# @param hosts which two have it together; production alone while there are none
# @param second what the standby is called by other mail servers, below the domain
# @param open whether the world may come; until then only the peers may
# @param peers addresses of the server that the mail comes from, which hands over what it gets
# @param default_domain the domain whose `mail.` this host is
# @param domains every domain that mail is taken for
# @param mailboxes every mailbox by its address
# @param aliases address, or `@domain`, -> addresses that get its mail
# @param discards addresses whose mail is accepted and thrown away
# @param recipient_delimiter what stands between a name and what its owner added to it
# @param message_size how large a message may be, in bytes
# @param sieve_before a Sieve script that is run before everybody's own
# @param dkim_selector name of the key that mail is signed with, in the zones
# @param dkim_key that key, PEM
# @param mta_sts_mode what senders shall do that cannot speak TLS with this host (RFC 8461); without
#   it nobody is told. The site that tells them is in data/mail.yaml
# @param mta_sts_max_age for how many seconds they remember it
# @param doveadm_password what the two hosts show each other to synchronise mailboxes
# @param journal_secret what they show each other to keep each other's messages
# @param watcher_password hash of the password of the mailbox that the monitoring reads
# @param watcher name of that mailbox; it is there when the fleet is watched
# @param password_secrets address -> hash of the password, with Dovecot's name of the scheme
class profile::mail (
  Boolean $served = false,
  Array[Fleet::Name, 0, 2] $hosts = [],
  Profile::Web::Label $second = 'mail2',
  Boolean $open = false,
  Array[Stdlib::IP::Address::Nosubnet] $peers = [],
  Optional[Profile::Mail::Domain] $default_domain = undef,
  Array[Profile::Mail::Domain] $domains = [],
  Hash[Profile::Mail::Address, Profile::Mail::Mailbox] $mailboxes = {},
  Hash[Profile::Mail::Source, Array[Profile::Mail::Address, 1]] $aliases = {},
  Array[Profile::Mail::Address] $discards = [],
  Pattern[/\A[+_=-]\z/] $recipient_delimiter = '+',
  Integer[1024] $message_size = 52428800,
  Optional[String[1]] $sieve_before = undef,
  Optional[String[1]] $dkim_selector = undef,
  Optional[Sensitive[String[1]]] $dkim_key = undef,
  Optional[Enum['none', 'testing', 'enforce']] $mta_sts_mode = undef,
  Integer[0, 31557600] $mta_sts_max_age = 86400,
  Optional[Sensitive[String[32]]] $doveadm_password = undef,
  Optional[Sensitive[String[32]]] $journal_secret = undef,
  Optional[Sensitive[Pattern[/\A\{[A-Z0-9.-]+\}[^\s:]+\z/]]] $watcher_password = undef,
  Pattern[/\A[a-z0-9-]+\z/] $watcher = 'generalprove-watch',
  Sensitive[Hash[Profile::Mail::Address, Pattern[/\A\{[A-Z0-9.-]+\}[^\s:]+\z/]]] $password_secrets = Sensitive({}),
) {
  include fleet

  if profile::mail::here($served, $hosts) {
    if $fleet::watched and $watcher_password =~ Undef {
      fail('profile::mail: the mailbox of the monitoring has no password')
    }
    $homeless = ($mailboxes.keys + $aliases.keys + $discards).filter |$address| {
      !($address.split('@')[1].downcase in $domains)
    }
    unless $homeless.empty {
      fail("profile::mail: of no domain that mail is taken for: ${homeless.join(', ')}")
    }
    $mute = $mailboxes.filter |$address, $mailbox| {
      !pick($mailbox['locked'], false) and !($address in $password_secrets.unwrap)
    }
    unless $mute.empty {
      fail("profile::mail: neither locked nor with a password: ${mute.keys.join(', ')}")
    }

    $watchers = $fleet::watched ? {
      true    => { "${watcher}@${default_domain}" => {} },
      default => {},
    }
    $watchers_passwords = $watcher_password ? {
      undef   => {},
      default => Hash($watchers.keys.map |$address| { [$address, $watcher_password.unwrap] }),
    }
    $production = fleet::me()['role'] == 'production'
    $hostname = $production ? {
      true    => "mail.${default_domain}",
      default => "${second}.${default_domain}",
    }
    # The server that the mail came from is no more when two have it.
    $pair = !$hosts.empty
    $hands_over = $pair ? {
      true    => [],
      default => $peers,
    }

    class { 'profile::mail::certificate':
      hostname => $hostname,
    }

    class { 'profile::mail::dovecot':
      postmaster          => "postmaster@${default_domain}",
      recipient_delimiter => $recipient_delimiter,
      sieve_before        => $sieve_before,
      handed_over         => !$hands_over.empty,
      replicated          => $pair,
    }

    class { 'profile::mail::users':
      mailboxes        => $mailboxes + $watchers,
      password_secrets => Sensitive($password_secrets.unwrap + $watchers_passwords),
    }

    class { 'profile::mail::rspamd':
      domains  => $domains,
      selector => $dkim_selector,
      key      => $dkim_key,
    }

    class { 'profile::mail::postfix':
      hostname            => $hostname,
      default_domain      => $default_domain,
      recipient_delimiter => $recipient_delimiter,
      message_size        => $message_size,
      peers               => $hands_over,
      journaled           => $pair,
    }

    class { 'profile::mail::addresses':
      default_domain => $default_domain,
      domains        => $domains,
      mailboxes      => ($mailboxes + $watchers).keys,
      aliases        => $aliases,
      discards       => $discards,
    }

    if $pair {
      $others = $hosts - $trusted['hostname']

      class { 'profile::mail::pair':
        peer                => $fleet::hosts[$others[0]],
        tidies              => $production,
        doveadm_password    => $doveadm_password,
        journal_secret      => $journal_secret,
        message_size        => $message_size,
        recipient_delimiter => $recipient_delimiter,
      }
    }

    $from = $open ? {
      true    => 'anywhere',
      default => $hands_over,
    }

    unless $from == [] {
      profile::firewall::allow { 'mail':
        ports => [25, 143, 465, 587, 993, 4190],
        from  => $from,
      }
    }
  }
}
