# @summary What two mail servers have that one does not: what keeps them alike, and from losing mail.
#
# The replicator carries every change of a mailbox to the other one, the journal has every message on
# both disks before its sender hears that it was taken, and mail-pair lets nobody in to a host that
# comes back until it is like the other one again. All of it goes through the mesh.
#
# @param peer the other host
# @param tidies whether this one of the two takes out what was delivered twice
# @param doveadm_password what Dovecot asks of whoever wants to synchronise; the same on both
# @param journal_secret what the journals show each other; the same on both
# @param message_size how large a message may be, in bytes
# @param recipient_delimiter what stands between a name and what its owner added to it
# @param health_port where the name servers of the fleet ask whether people may be led here
# @param alone seconds of the peer's silence after which a host that came back opens by itself
# @param silent seconds of the peer's silence after which what it had accepted is delivered here
class profile::mail::pair (
  Fleet::Host $peer,
  Boolean $tidies,
  Sensitive[String[32]] $doveadm_password,
  Sensitive[String[32]] $journal_secret,
  Integer[1024] $message_size,
  String[1] $recipient_delimiter,
  Stdlib::Port $health_port = 8025,
  Integer[1] $alone = 60,
  Integer[1] $silent = 10,
) {
  include profile::drain
  include profile::python3

  $me = fleet::me()
  $dsync_port = 12346
  $doveadm_port = 8083
  $journal_port = 8725

  class { 'replicator':
    address    => $me['wireguard'],
    peer       => $peer['wireguard'],
    password   => $doveadm_password,
    dsync_port => $dsync_port,
    http_port  => $doveadm_port,
    empty      => '/run/mail-pair/empty',
    # By the journal.
    commands   => ['fetch'],
    require    => [
      Package['dovecot-core', 'dovecot-managesieved'],
      User['vmail'],
    ],
  }

  class { 'journal':
    listen              => $me['wireguard'],
    peer                => $peer['wireguard'],
    port                => $journal_port,
    secret              => $journal_secret,
    doveadm_password    => $doveadm_password,
    doveadm_url         => "http://127.0.0.1:${doveadm_port}/doveadm/v1",
    message_size        => $message_size,
    recipient_delimiter => $recipient_delimiter,
    require             => Class['profile::mail::addresses'],
  }

  profile::firewall::allow {
    'replicator':
      ports => [$dsync_port, 9106],
      from  => 'mesh',
      ;
    'journal':
      ports => [$journal_port, 9725],
      from  => 'mesh',
      ;
    'mail-health':
      ports => [$health_port],
      from  => 'fleet',
      ;
  }

  file {
    default:
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0755',
      require => Package['python3'],
      ;
    '/usr/local/sbin/mail-pair':
      source => 'puppet:///modules/profile/mail/mail_pair.py',
      notify => Service['mail-pair.service'],
      ;
    '/usr/local/sbin/mail-health':
      source => 'puppet:///modules/profile/mail/mail_health.py',
      notify => Service['mail-health.service'],
      ;
    '/etc/mail-pair.json':
      mode    => '0644',
      notify  => Service['mail-pair.service'],
      content => stdlib::to_json({
          'peer'   => $peer['wireguard'],
          'ports'  => [$journal_port, $dsync_port],
          'alone'  => $alone,
          'silent' => $silent,
          'tidies' => $tidies,
      }),
      ;
  }

  profile::systemd::unit {
    'mail-gate.service':
      content => file('profile/mail/mail-gate.service'),
      ;
    'mail-pair.service':
      content => file('profile/mail/mail-pair.service'),
      notify  => Service['mail-pair.service'],
      ;
    'mail-health.service':
      content => epp('profile/mail/mail-health.service.epp', { 'port' => $health_port }),
      notify  => Service['mail-health.service'],
      ;
  }

  # Before there is anything that mail could be handed to, on a host that does not serve yet.
  service { 'mail-gate.service':
    ensure  => running,
    enable  => true,
    require => [Profile::Systemd::Unit['mail-gate.service'], File['/usr/local/sbin/mail-pair'], Package['nftables']],
    before  => Package['postfix', 'dovecot-core'],
  }

  # People are let in when the mailboxes are alike, however long that takes: nobody waits for it.
  service { 'mail-pair.service':
    ensure  => running,
    enable  => true,
    start   => '/usr/bin/systemctl start --no-block mail-pair.service',
    restart => '/usr/bin/systemctl try-restart --no-block mail-pair.service',
    status  => '/usr/bin/systemctl show --property ActiveState mail-pair.service | /usr/bin/grep -qE =activ',
    require => [Class['replicator', 'journal'], Service['mail-gate.service', 'postfix.service', 'dovecot.service']],
  }

  # A run before that would find Postfix waiting, start it, wait as well, and report that it had been
  # changed by hand.
  profile::systemd::dropin { 'puppet-run.service':
    content => "[Unit]\nAfter=mail-pair.service\n",
  }

  service { 'mail-health.service':
    ensure => running,
    enable => true,
  }

  File['/etc/dovecot/replicator.conf'] -> File['/etc/dovecot/dovecot.conf']
  File['/etc/dovecot/replicator.conf'] ~> Service['dovecot.service']
}
