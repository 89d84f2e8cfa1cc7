# frozen_string_literal: true

describe 'profile::mail' do
  include_context 'with a host', 'oslo'

  # Another service's site and the state's own data are the roles' matter (spec/hosts).
  let(:pre_condition) { "$role = 'base'\nclass { 'fleet': watched => false }" }
  let(:params) { given.merge(more) }
  let(:more) { {} }

  def content(path)
    found = catalogue.resource('file', path)[:content]
    found.respond_to?(:unwrap) ? found.unwrap : found
  end

  # A setting of main.cf, whatever is around its equals sign.
  def setting(name)
    content('/etc/postfix/main.cf')[/^#{name} =\s*(.*)$/, 1]
  end

  peers = ['198.18.20.20', 'fd18:0:20::20']
  hash = '{SHA512-CRYPT}$6$salt$hash'
  given = {
    'served' => true,
    'hosts' => [],
    'open' => false,
    'peers' => peers,
    'default_domain' => 'nordlys.example',
    'domains' => %w[nordlys.example shops.example],
    'mailboxes' => {
      'kari@nordlys.example' => { 'login' => 'kari' },
      'kjell@nordlys.example' => { 'locked' => true },
      'all@shops.example' => {},
    },
    'aliases' => {
      'Per-Ole@nordlys.example' => ['kari@nordlys.example', 'x@elsewhere.example'],
      '@shops.example' => ['all@shops.example'],
    },
    'discards' => ['noreply@nordlys.example'],
    'message_size' => 104_857_600,
    'sieve_before' => "keep;\n",
    'dkim_selector' => 'oslo2026',
  }

  let(:given) do
    secrets = { 'kari@nordlys.example' => hash, 'all@shops.example' => hash, 'kjell@nordlys.example' => hash }
    given.merge('password_secrets' => sensitive(secrets), 'dkim_key' => sensitive("a key\n"))
  end

  context 'before the stage says that it has the mail' do
    let(:more) { { 'served' => false } }

    it { is_expected.to compile.with_all_deps }
    it { is_expected.not_to contain_package('postfix') }
    it { is_expected.not_to contain_package('dovecot-core') }
    it { is_expected.not_to contain_profile__firewall__allow('mail') }
  end

  context 'when it has the mail' do
    it { is_expected.to compile.with_all_deps }

    it 'is there for the server that hands over, and for nobody else' do
      is_expected.to contain_profile__firewall__allow('mail')
        .with_ports([25, 143, 465, 587, 993, 4190]).with_from(peers)
    end

    it 'sends for nobody who has not logged in, the server that hands over included' do
      expect(setting('mynetworks')).to eq('127.0.0.0/8 [::1]/128')
      expect(setting('smtpd_relay_restrictions')).to eq('permit_mynetworks, reject_unauth_destination')
    end

    it 'lets people log in where they submit, over TLS, and nowhere else' do
      expect(setting('smtpd_sasl_auth_enable')).to eq('no')
      expect(setting('smtpd_tls_auth_only')).to eq('yes')
      services = content('/etc/postfix/master.cf').split(/^(?=\S)/)
      admitting = services.grep(/smtpd_sasl_auth_enable=yes/)
      expect(admitting.map { |each| each[/\A\S+/] }).to eq(%w[submission submissions])
      expect(admitting).to all(include('smtpd_client_restrictions = permit_sasl_authenticated, reject'))
        .and all(include('smtpd_relay_restrictions = permit_sasl_authenticated, reject'))
        .and all(match(/security_level=encrypt|wrappermode=yes/))
    end

    it 'speaks no TLS older than 1.2' do
      expect(setting('smtpd_tls_protocols')).to eq('>=TLSv1.2')
      expect(setting('smtpd_tls_mandatory_protocols')).to eq('>=TLSv1.2')
      expect(content('/etc/dovecot/dovecot.conf')).to match(/^ssl = required$/)
        .and match(/^ssl_min_protocol = TLSv1\.2$/).and match(/^auth_allow_cleartext = no$/)
    end

    it 'knows every address, in small letters' do
      expect(content('/etc/postfix/domains')).to include("nordlys.example\tours\n", "shops.example\tours\n")
      expect(content('/etc/postfix/mailboxes').lines.drop(1).map { |line| line.split("\t").first })
        .to eq(%w[all@shops.example kari@nordlys.example kjell@nordlys.example noreply@nordlys.example])
      expect(content('/etc/postfix/aliases'))
        .to include("per-ole@nordlys.example\tkari@nordlys.example, x@elsewhere.example\n")
        .and include("root@nordlys.example\tpostmaster@nordlys.example\n")
    end

    it 'lets no catch-all take the mail of a mailbox' do
      expect(content('/etc/postfix/aliases'))
        .to include("@shops.example\tall@shops.example\n").and include("\nall@shops.example\tall@shops.example\n")
      expect(content('/etc/postfix/aliases')).not_to match(/^kari@/)
    end

    it 'throws away what nobody reads' do
      expect(content('/etc/postfix/transport')).to match(/^noreply@nordlys\.example\tdiscard:/)
    end

    it 'refuses the unknown, and does not help to guess' do
      expect(setting('virtual_mailbox_maps')).to eq('texthash:/etc/postfix/mailboxes')
      expect(setting('disable_vrfy_command')).to eq('yes')
    end

    it 'names every mailbox once, and lets in who is not locked' do
      expect(content('/etc/dovecot/users').lines.drop(1))
        .to eq(%w[all@shops.example kari@nordlys.example kjell@nordlys.example].map { |each| "#{each}:::::::\n" })
      expect(content('/etc/dovecot/passwords').lines.drop(1)).to eq(
        [
          "all@shops.example:#{hash}::::::\n",
          "kari@nordlys.example:#{hash}::::::\n",
          "kari:#{hash}::::::user=kari@nordlys.example\n",
        ],
      )
    end

    it 'shows passwords and keys to nobody' do
      { '/etc/dovecot/passwords' => 'dovecot', '/etc/rspamd/dkim.key' => '_rspamd' }.each do |path, group|
        file = catalogue.resource('file', path)
        expect(file.sensitive_parameters).to include(:content)
        expect([file[:mode], file[:owner], file[:group], file[:show_diff]]).to eq(['0640', 'root', group, false])
      end
      others = catalogue.resources.select { |each| each.type == 'File' && each.sensitive_parameters.empty? }
      expect(others.filter_map { |each| each[:content] }.grep(/SHA512|a key/)).to be_empty
    end

    it 'lets nobody wait for the mistakes of others who come through the same server' do
      expect(content('/etc/dovecot/dovecot.conf')).to match(/unix_listener anvil-auth-penalty \{\n +mode = 0/)
    end

    it "keeps people's mail to itself" do
      is_expected.to contain_user('vmail').with_system(true).with_shell('/usr/sbin/nologin')
      is_expected.to contain_file('/srv/vmail').with_owner('vmail').with_mode('0700')
    end

    it 'compiles the filter for everybody, who may not do it themselves' do
      is_expected.to contain_file('/etc/dovecot/sieve/before.sieve').with_content("keep;\n")
      is_expected.to contain_exec('mail: compile the filter for everybody')
        .that_requires('File[/etc/dovecot/dovecot.conf]').that_comes_before('Service[dovecot.service]')
    end

    it 'signs for every domain' do
      expect(content('/etc/rspamd/rspamd.conf')).to match(/^        "nordlys\.example" \{\n.*\n +selector = "oslo2026";/)
        .and include('"shops.example" {')
    end

    it 'asks nobody in the internet what to think of mail' do
      plugins = content('/etc/rspamd/rspamd.conf').scan(%r{PLUGINSDIR/(\w+)\.lua}).flatten
      expect(plugins).not_to include('rbl', 'surbl', 'phishing', 'fuzzy_check', 'multimap', 'rspamd_update')
      expect(content('/etc/rspamd/rspamd.conf')).not_to match(/http|redis|controller/)
    end

    it 'does not wait for the connections that Postfix keeps with rspamd' do
      expect(content('/etc/systemd/system/rspamd.service.d/fleet.conf')).to match(/^KillSignal=SIGKILL$/)
    end

    it 'goes on without rspamd' do
      expect(setting('milter_default_action')).to eq('accept')
      expect(setting('smtpd_milters')).to include('default_action=accept')
    end

    it 'judges nothing that is handed over, and signs what is submitted through the same server' do
      expect(setting('smtpd_milter_maps')).to eq('cidr:{ { 198.18.20.20 DISABLE }, { fd18:0:20::20 DISABLE } }')
      submission = content('/etc/postfix/master.cf').split(/^(?=\S)/).grep(/\Asubmission/)
      expect(submission).to all(match(/-o smtpd_milter_maps=$/))
      expect(setting('smtpd_client_event_limit_exceptions')).to eq('$mynetworks 198.18.20.20 [fd18:0:20::20]')
    end

    it 'starts without a certificate of the world, and needs none to be removed' do
      is_expected.to contain_exec('mail: a certificate to begin with').with_creates('/etc/ssl/fleet/mail.pem')
        .that_comes_before(['File[/etc/postfix/main.cf]', 'File[/etc/dovecot/dovecot.conf]'])
    end

    context 'when it is open' do
      let(:more) { { 'open' => true } }

      it { is_expected.to contain_profile__firewall__allow('mail').with_from('anywhere') }
    end

    context 'when nobody hands over' do
      let(:more) { { 'peers' => [] } }

      it { is_expected.not_to contain_profile__firewall__allow('mail') }
      it { is_expected.to contain_file('/etc/postfix/main.cf').without_content(/milter_maps|event_limit/) }
      it { is_expected.to contain_file('/etc/dovecot/dovecot.conf').without_content(/penalty/) }
    end

    context 'with a mailbox that nobody could log in to' do
      let(:more) { { 'mailboxes' => { 'new@nordlys.example' => {} } } }

      it { is_expected.to compile.and_raise_error(/neither locked nor with a password: new@nordlys\.example/) }
    end

    context 'with an address of somebody else' do
      let(:more) { { 'aliases' => { 'x@elsewhere.example' => ['kari@nordlys.example'] } } }

      it { is_expected.to compile.and_raise_error(/of no domain that mail is taken for: x@elsewhere/) }
    end
  end

  together = {
    'hosts' => %w[oslo bergen],
    'open' => true,
  }

  context 'when two have it' do
    let(:more) do
      together.merge(
        'doveadm_password' => sensitive('a1' * 20),
        'journal_secret' => sensitive('b2' * 20),
      )
    end

    it { is_expected.to compile.with_all_deps }

    it 'knows the other one through the mesh, and lets nobody else synchronise' do
      is_expected.to contain_class('replicator').with_address('10.83.0.10').with_peer('10.83.0.20')
      is_expected.to contain_class('journal').with_listen('10.83.0.10').with_peer('10.83.0.20')
      is_expected.to contain_profile__firewall__allow('replicator').with_from('mesh')
      is_expected.to contain_profile__firewall__allow('journal').with_from('mesh')
      is_expected.to contain_profile__firewall__allow('mail-health').with_from('fleet')
    end

    it 'has each message kept by the other one before it is taken' do
      milters = content('/etc/postfix/main.cf')[/^smtpd_milters = .*(?:\n .*)*/]
      expect(milters.scan(/unix:\S+sock/)).to eq(%w[unix:/run/rspamd/milter.sock unix:/run/mail-journal/milter.sock])
      expect(milters.scan('default_action=accept').length).to eq(2)
      expect(setting('internal_mail_filter_classes')).to eq('bounce')
      expect(setting('enable_long_queue_ids')).to eq('yes')
    end

    it 'takes what the journal delivers from itself alone' do
      services = content('/etc/postfix/master.cf').split(/^(?=[^\s#])/).grep(/\A127\.0\.0\.1:/)
      expect(services.length).to eq(2)
      expect(services).to all(include('no_milters').and(include('permit_mynetworks, reject')))
      expect(services.last).to include('no_address_mappings')
    end

    it 'lets nobody in before its mailboxes are like the other one' do
      is_expected.to contain_service('mail-gate.service').that_comes_before('Package[postfix]')
      is_expected.to contain_service('mail-gate.service').that_comes_before('Package[dovecot-core]')
      unit = content('/etc/systemd/system/mail-pair.service')
      expect(unit).to include('Before=postfix.service').and include('Type=notify')
    end

    it 'looks at all that waits when its clock was set' do
      is_expected.to contain_service('postfix-clock.timer').with_enable(true)
      expect(content('/etc/systemd/system/postfix-clock.timer')).to match(/^OnClockChange=yes$/)
    end

    it 'does not wait for that' do
      is_expected.to contain_service('mail-pair.service').with_start(/--no-block/)
      expect(content('/etc/systemd/system/puppet-run.service.d/fleet.conf')).to match(/^After=mail-pair.service$/)
    end

    it 'restarts what is logged in when the marks of changes come' do
      is_expected.to contain_file('/etc/dovecot/replicator.conf').that_notifies('Service[dovecot.service]')
      is_expected.to contain_service('dovecot.service').with_restart(/replicator\.conf -nt .*systemctl restart/)
      expect(content('/etc/dovecot/dovecot.conf')).to match(/^!include_try replicator\.conf$/)
    end

    it 'lets whoever synchronises, and the journal, ask for what they need, in one place' do
      expect(content('/etc/dovecot/replicator.conf')).to match(/^doveadm_allowed_commands = .*"mailbox delete" "mailbox list" "mailbox unsubscribe" expunge fetch "sieve list" "sieve get"$/)
      expect(content('/etc/dovecot/dovecot.conf')).not_to match(/doveadm_allowed_commands/)
    end

    it 'forgets the server that handed over' do
      is_expected.to contain_file('/etc/postfix/main.cf').without_content(/milter_maps|event_limit/)
      is_expected.to contain_profile__firewall__allow('mail').with_from('anywhere')
    end
  end

  context 'when it is not one of those who have it' do
    let(:more) { { 'hosts' => %w[bergen tromso] } }

    it { is_expected.not_to contain_package('postfix') }
  end
end
