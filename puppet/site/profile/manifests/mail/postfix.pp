# @summary Postfix: takes mail for the fleet's domains, and sends that of those who log in.
#
# @param hostname what it calls itself
# @param default_domain the domain of names without one
# @param recipient_delimiter what stands between a name and what its owner added to it
# @param message_size how large a message may be, in bytes
# @param peers addresses of the server that hands over what it gets
# @param journaled whether another host keeps each message as well before it is taken
class profile::mail::postfix (
  Stdlib::Fqdn $hostname,
  Profile::Mail::Domain $default_domain,
  String[1] $recipient_delimiter,
  Integer[1024] $message_size,
  Array[Stdlib::IP::Address::Nosubnet] $peers = [],
  Boolean $journaled = false,
) {
  $etc = '/etc/postfix'

  package { ['postfix', 'ca-certificates']:
    ensure => installed,
  }

  file {
    default:
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      require => [Class['profile::mail::certificate'], Package['postfix', 'ca-certificates']],
      notify  => Service['postfix.service'],
      ;
    "${etc}/master.cf":
      content => epp('profile/mail/master.cf.epp', { 'journaled' => $journaled }),
      before  => File["${etc}/main.cf"],
      ;
    "${etc}/main.cf":
      content      => epp('profile/mail/main.cf.epp', {
          'hostname'            => $hostname,
          'default_domain'      => $default_domain,
          'recipient_delimiter' => $recipient_delimiter,
          'message_size'        => $message_size,
          'peers'               => $peers,
          'certificate'         => $profile::mail::certificate::path,
          'milter'              => $profile::mail::rspamd::socket,
          'journaled'           => $journaled,
      }),
      # It complains of a name that it does not know, and says so by that alone.
      validate_cmd => "/bin/sh -c 'd=\$(mktemp -d) && cp % \$d/main.cf && cp ${etc}/master.cf \$d && \
postconf -c \$d >/dev/null 2>\$d/complaints && test ! -s \$d/complaints; code=\$?; cat \$d/complaints; rm -r \$d; exit \$code'",
      ;
  }

  profile::systemd::dropin { 'postfix.service':
    content => file('profile/mail/postfix.conf'),
    # Debian starts it as soon as it is installed.
    before  => Package['postfix'],
  }

  profile::systemd::unit {
    'postfix-clock.service':
      content => file('profile/mail/postfix-clock.service'),
      before  => Service['postfix-clock.timer'],
      ;
    'postfix-clock.timer':
      content => file('profile/mail/postfix-clock.timer'),
      notify  => Service['postfix-clock.timer'],
      ;
  }

  service { 'postfix-clock.timer':
    ensure => running,
    enable => true,
  }

  service { 'postfix.service':
    ensure  => running,
    enable  => true,
    # Whoever is being served is served to the end.
    restart => '/usr/bin/systemctl reload postfix.service',
    # Or the first mail would not be judged.
    require => Service['dovecot.service', 'rspamd.service'],
  }
}
