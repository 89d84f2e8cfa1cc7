# @summary Dovecot: keeps the mail, lets people read it, runs their filters.
#
# @param postmaster whose name stands under what it has to say
# @param recipient_delimiter what stands between a name and what its owner added to it
# @param sieve_before a Sieve script that is run before everybody's own
# @param handed_over whether people come through another server, from its address
# @param replicated whether another host has the same mailboxes; what that needs is in a file of its own
class profile::mail::dovecot (
  Profile::Mail::Address $postmaster,
  String[1] $recipient_delimiter = '+',
  Optional[String[1]] $sieve_before = undef,
  Boolean $handed_over = false,
  Boolean $replicated = false,
) {
  include fleet

  $etc = '/etc/dovecot'
  $metrics_port = 9900
  $home = '/srv/vmail'
  $before = "${etc}/sieve/before.sieve"

  # The first brings most of the others along: each run of apt has Dovecot start again.
  package { ['dovecot-managesieved', 'dovecot-imapd', 'dovecot-lmtpd', 'dovecot-core', 'dovecot-sieve']:
    ensure  => installed,
    # Debian starts it as soon as it is installed, and it writes to what is there then.
    require => [File[$home], Package['postfix'], Profile::Systemd::Dropin['dovecot.service']],
  }

  profile::systemd::dropin { 'dovecot.service':
    content => file('profile/mail/dovecot.conf'),
  }

  user { 'vmail':
    ensure => present,
    system => true,
    home   => $home,
    shell  => '/usr/sbin/nologin',
  }

  file {
    default:
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      require => Package['dovecot-core'],
      ;
    $home:
      ensure  => directory,
      owner   => 'vmail',
      group   => 'vmail',
      mode    => '0700',
      require => User['vmail'],
      ;
    "${etc}/sieve":
      ensure => directory,
      mode   => '0755',
      ;
    $before:
      content => pick($sieve_before, "# Nothing.\n"),
      ;
  }

  # Whoever runs it may not write here, and would compile it anew for every message.
  exec { 'mail: compile the filter for everybody':
    # Dovecot takes one that is as old for out of date, and a copy of this disk may know whole seconds only.
    command => "/bin/sh -c '/usr/bin/sievec ${before} && /usr/bin/touch -d \"2 seconds\" ${etc}/sieve/before.svbin'",
    unless  => "/usr/bin/test ${etc}/sieve/before.svbin -nt ${before}",
    require => [
      File["${etc}/dovecot.conf", $before],
      Package['dovecot-sieve'],
    ],
    before  => Service['dovecot.service'],
  }

  file { "${etc}/dovecot.conf":
    ensure       => file,
    owner        => 'root',
    group        => 'root',
    mode         => '0644',
    content      => epp('profile/mail/dovecot.conf.epp', {
        'home'                => $home,
        'etc'                 => $etc,
        'certificate'         => $profile::mail::certificate::path,
        'postmaster'          => $postmaster,
        'recipient_delimiter' => $recipient_delimiter,
        'sieve_before'        => $before,
        'handed_over'         => $handed_over,
        'metrics_port'        => $fleet::watched ? {
          true    => $metrics_port,
          default => undef,
        },
        'replicated'          => $replicated,
    }),
    validate_cmd => '/usr/bin/doveconf -c % -n',
    require      => [
      Class['profile::mail::certificate'],
      Package['dovecot-imapd', 'dovecot-lmtpd', 'dovecot-managesieved', 'dovecot-sieve'],
    ],
    notify       => Service['dovecot.service'],
  }

  service { 'dovecot.service':
    ensure  => running,
    enable  => true,
    # Whoever is logged in stays so; but not when the marks of changes come, which they would not leave.
    restart => "/bin/sh -c 'if [ ${etc}/replicator.conf -nt /run/dovecot/master.pid ]; then \
exec systemctl restart dovecot.service; fi; exec systemctl reload dovecot.service'",
  }

  profile::metrics { 'dovecot':
    port => $metrics_port,
  }
}
