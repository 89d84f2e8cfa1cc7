# @summary The mail journal: an accepted message is on both nodes' disks before its sender hears so.
#
# A milter hands every message to the peer, and a store keeps what the peer hands over until nothing
# of it can be lost any more. Whoever includes this opens the ports to the mesh, and tells Postfix of
# the milter and of the way back into its queue (`reinject_port`).
#
# @param listen this node's address on the mesh
# @param peer the other node's
# @param secret what the two nodes know each other by; the same on both
# @param doveadm_password of Dovecot's HTTP API on this node
# @param doveadm_url that API
# @param port where the stores listen, for the peer alone
# @param metrics_port where Prometheus asks, on the mesh
# @param reinject_port where Postfix takes what is replayed, past every milter; on loopback
# @param mail_home directory of the mailboxes
# @param recipient_delimiter what stands between a name and what its owner added to it
# @param message_size how large a message may be, in bytes
# @param max_bytes how much the journal may take; what comes then is refused, and kept by nobody else
# @param min_free how many bytes of its disk are left to others
# @param max_age seconds after which somebody shall look at an entry; nothing is removed by age
class journal (
  Stdlib::IP::Address::Nosubnet $listen,
  Stdlib::IP::Address::Nosubnet $peer,
  Sensitive[String[1]] $secret,
  Sensitive[String[1]] $doveadm_password,
  Stdlib::HTTPUrl $doveadm_url = 'http://127.0.0.1:8083/doveadm/v1',
  Stdlib::Port $port = 8725,
  Stdlib::Port $metrics_port = 9725,
  Stdlib::Port $reinject_port = 10026,
  Stdlib::Unixpath $mail_home = '/srv/vmail',
  Pattern[/\A[+_=-]\z/] $recipient_delimiter = '+',
  Integer[1024] $message_size = 52428800,
  Integer[1048576] $max_bytes = 4294967296,
  Integer[0] $min_free = 536870912,
  Integer[60] $max_age = 86400,
) {
  # Sensitive hides its length from the type.
  if length($secret.unwrap) < 32 {
    fail('journal: the secret has less than 32 characters')
  }

  $etc = '/etc/mail-journal'
  $lib = '/usr/local/lib/mail-journal'
  $spool = '/var/lib/mail-journal'

  package { 'python3-milter':
    ensure => installed,
  }

  group { 'mail-journal':
    ensure => present,
    system => true,
  }

  # No member of Postfix's groups by itself: each unit has those that it needs.
  user { 'mail-journal':
    ensure     => present,
    system     => true,
    gid        => 'mail-journal',
    home       => $spool,
    managehome => false,
    shell      => '/usr/sbin/nologin',
    password   => '*',
  }

  file {
    default:
      owner => 'root',
      group => 'root',
      ;
    $etc:
      ensure => directory,
      group  => 'mail-journal',
      mode   => '0750',
      ;
    "${etc}/config.json":
      ensure    => file,
      group     => 'mail-journal',
      mode      => '0640',
      show_diff => false,
      content   => Sensitive(stdlib::to_json_pretty({
            'listen'              => $listen,
            'peer'                => $peer,
            'secret'              => $secret.unwrap,
            'doveadm_password'    => $doveadm_password.unwrap,
            'doveadm_url'         => $doveadm_url,
            'port'                => $port,
            'metrics_port'        => $metrics_port,
            'reinject_port'       => $reinject_port,
            'mail'                => $mail_home,
            'recipient_delimiter' => $recipient_delimiter,
            'message_size'        => $message_size,
            'max_bytes'           => $max_bytes,
            'min_free'            => $min_free,
            'max_age'             => $max_age,
      })),
      ;
    $lib:
      ensure => directory,
      mode   => '0755',
      ;
    "${lib}/mail_journal":
      ensure  => directory,
      recurse => true,
      purge   => true,
      force   => true,
      mode    => '0644',
      source  => 'puppet:///modules/journal/mail_journal',
      # What Python has compiled.
      ignore  => '__pycache__',
      ;
    '/usr/local/sbin/mail-journal':
      ensure => file,
      mode   => '0755',
      source => 'puppet:///modules/journal/mail-journal',
      ;
    [$spool, "${spool}/entries", "${spool}/replayed"]:
      ensure => directory,
      owner  => 'mail-journal',
      group  => 'mail-journal',
      mode   => '0700',
      ;
  }

  ['mail-journal.service', 'mail-journal-milter.service'].each |$unit| {
    file { "/etc/systemd/system/${unit}":
      ensure => file,
      owner  => 'root',
      group  => 'root',
      mode   => '0644',
      source => "puppet:///modules/journal/${unit}",
    }

    ~> service { $unit:
      ensure    => running,
      enable    => true,
      require   => [
        File['/usr/local/sbin/mail-journal', "${spool}/entries", "${spool}/replayed"],
        # Their groups, and a queue.
        Package['postfix', 'python3-milter'],
        User['mail-journal'],
      ],
      subscribe => File["${etc}/config.json", "${lib}/mail_journal"],
    }
  }

  Service['mail-journal.service'] -> Service['mail-journal-milter.service']
}
