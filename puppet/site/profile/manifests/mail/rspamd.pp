# @summary rspamd: judges what comes in, signs what goes out.
#
# It has a configuration of its own instead of Debian's, which loads fifty modules, most of which
# ask somebody in the internet: this one asks the DNS for the sender's policies and nobody else.
# There is no Redis, no web page, and nothing that learns.
#
# @param domains the domains whose mail is signed
# @param selector name of the key in the zones
# @param key the key, PEM
class profile::mail::rspamd (
  Array[Profile::Mail::Domain] $domains,
  Optional[Pattern[/\A[a-z0-9][a-z0-9-]*\z/]] $selector = undef,
  Optional[Sensitive[String[1]]] $key = undef,
) {
  include fleet

  $etc = '/etc/rspamd'
  $controller = '/run/rspamd/controller.sock'
  $socket = '/run/rspamd/milter.sock'
  $signs = $selector =~ NotUndef and $key =~ NotUndef

  package { 'rspamd':
    ensure  => installed,
    # Its socket is for Postfix alone, whose group must be there.
    require => Package['postfix'],
  }

  file {
    default:
      ensure  => file,
      owner   => 'root',
      require => Package['rspamd'],
      notify  => Service['rspamd.service'],
      ;
    "${etc}/dkim.key":
      ensure    => stdlib::ensure($signs, 'file'),
      group     => '_rspamd',
      mode      => '0640',
      show_diff => false,
      content   => $key,
      ;
    "${etc}/rspamd.conf":
      group   => 'root',
      mode    => '0644',
      content => epp('profile/mail/rspamd.conf.epp', {
          'socket'   => $socket,
          'domains'  => $signs ? {
            true    => $domains,
            default => [],
          },
          'selector' => $selector,
          'key'      => "${etc}/dkim.key",
          'metrics'  => $fleet::watched ? {
            true    => $controller,
            default => undef,
          },
      }),
      ;
  }

  profile::systemd::dropin { 'rspamd.service':
    content => epp('profile/mail/rspamd.service.epp', {
        'socket' => $socket,
        # Whose sockets it makes.
        'groups' => $fleet::watched ? {
          true    => ['postfix', 'prometheus'],
          default => ['postfix'],
        },
    }),
    require => Package['rspamd'],
    notify  => Service['rspamd.service'],
  }

  service { 'rspamd.service':
    ensure => running,
    enable => true,
  }

  # Its socket is for the exporters' group, which must be there.
  if $fleet::watched {
    Package['prometheus-node-exporter'] -> File["${etc}/rspamd.conf"]
  }

  profile::metrics { 'rspamd':
    socket => $controller,
  }
}
