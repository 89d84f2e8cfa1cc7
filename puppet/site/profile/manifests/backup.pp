# @summary A place for the backups of other hosts, which send them by SFTP and can do nothing else.
#
# What is here is encrypted by those who send it (restic). It stays when its client is gone.
#
# @param clients hosts that may send at the moment, and the public key of each
class profile::backup (
  Hash[Fleet::Name, Pattern[/\Assh-ed25519 [A-Za-z0-9+\/]+=*\z/]] $clients = {},
) {
  include fleet

  $store = '/srv/backup'
  $keys = $clients.map |$name, $key| {
    $host = $fleet::hosts[$name]
    "restrict,from=\"${host['v4']},${host['v6']}\",command=\"internal-sftp\" ${key} ${name}\n"
  }

  package { 'restic':
    ensure => installed,
  }

  group { 'restic':
    ensure => present,
    system => true,
  }

  user { 'restic':
    ensure     => present,
    system     => true,
    gid        => 'restic',
    home       => $store,
    managehome => false,
    shell      => '/usr/sbin/nologin',
    password   => '*',
  }

  file {
    default:
      owner => 'restic',
      group => 'restic',
      ;
    $store:
      ensure => directory,
      mode   => '0700',
      ;
    # Not the account's own: what it may do is not its to say.
    "${store}/.ssh":
      ensure => directory,
      owner  => 'root',
      mode   => '0750',
      ;
    "${store}/.ssh/authorized_keys":
      ensure  => file,
      owner   => 'root',
      mode    => '0640',
      content => "# Managed by Puppet.\n${keys.join}",
      ;
  }
}
