# @summary Writes to a mailbox of its own on every mail server, and reads it on each.
#
# The mailbox comes with profile::mail as soon as the fleet is watched.
#
# @param mail_password of that mailbox
# @param mailbox its name
class profile::monitoring::letter (
  Optional[Sensitive[String[1]]] $mail_password = undef,
  Pattern[/\A[a-z0-9-]+\z/] $mailbox = 'generalprove-watch',
) {
  include fleet

  $servers = fleet::serving('mail')

  unless $servers.empty {
    if $mail_password =~ Undef {
      fail('profile::monitoring::letter: without a password no letter can be read')
    }

    file { '/etc/fleet-letter.password':
      ensure    => file,
      owner     => 'root',
      # Not a systemd credential: where nothing may be mounted there are none.
      group     => 'fleet-watch',
      mode      => '0640',
      show_diff => false,
      content   => $mail_password,
      require   => User['fleet-watch'],
      before    => Profile::Monitoring::Task['fleet-letter'],
    }
  }

  profile::monitoring::task { 'fleet-letter':
    describe => 'Writes to a mailbox on every mail server, and reads it on each',
    config   => {
      'authority' => '/etc/prometheus/authority.pem',
      'from'      => "alerts@${trusted['hostname']}.${fleet::domain}",
      'mailbox'   => "${mailbox}@${fleet::domain}",
      'name'      => "mail.${fleet::domain}",
      'password'  => '/etc/fleet-letter.password',
      'servers'   => Hash($servers.map |$name| { [$name, $fleet::hosts[$name]['v4']] }),
    },
  }
}
