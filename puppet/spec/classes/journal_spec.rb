# frozen_string_literal: true

describe 'journal' do
  include_context 'with a host', 'oslo'

  let(:pre_condition) { "$role = 'base' package { 'postfix': }" }
  let(:params) do
    {
      'listen'           => '10.83.0.10',
      'peer'             => '10.83.0.20',
      'secret'           => sensitive('s' * 32),
      'doveadm_password' => sensitive('doveadm-password'),
    }
  end
  let(:written) do
    content = catalogue.resource('file', '/etc/mail-journal/config.json')[:content]
    JSON.parse(content.respond_to?(:unwrap) ? content.unwrap : content)
  end

  it { is_expected.to compile.with_all_deps }

  it 'runs as a user of its own that nobody can be' do
    is_expected.to contain_user('mail-journal')
      .with_system(true).with_shell('/usr/sbin/nologin').with_password('*').without_groups
  end

  it 'shows the secrets to nobody else' do
    is_expected.to contain_file('/etc/mail-journal').with_mode('0750').with_group('mail-journal')
    is_expected.to contain_file('/etc/mail-journal/config.json')
      .with_mode('0640').with_owner('root').with_group('mail-journal').with_show_diff(false)
    parameters = catalogue.resource('file', '/etc/mail-journal/config.json').sensitive_parameters
    expect(parameters).to include(:content)
  end

  it 'tells the programs what they need' do
    expect(written).to include(
      'listen' => '10.83.0.10', 'peer' => '10.83.0.20', 'port' => 8725,
      'secret' => 's' * 32, 'doveadm_password' => 'doveadm-password',
      'recipient_delimiter' => '+', 'max_bytes' => 4 * 1024**3
    )
  end

  it 'keeps messages where only it can read them' do
    %w[/var/lib/mail-journal /var/lib/mail-journal/entries /var/lib/mail-journal/replayed].each do |path|
      is_expected.to contain_file(path)
        .with_ensure('directory').with_owner('mail-journal').with_mode('0700')
    end
  end

  it 'installs the very files that are tested, and nothing beside them' do
    is_expected.to contain_file('/usr/local/lib/mail-journal/mail_journal')
      .with_source('puppet:///modules/journal/mail_journal')
      .with_recurse(true).with_purge(true).with_owner('root').with_ignore('__pycache__')
    is_expected.to contain_file('/usr/local/sbin/mail-journal').with_mode('0755').with_owner('root')
  end

  %w[mail-journal.service mail-journal-milter.service].each do |unit|
    it "runs #{unit}, and starts it anew when anything of it changes" do
      is_expected.to contain_service(unit).with_ensure('running').with_enable(true)
        .that_subscribes_to('File[/etc/mail-journal/config.json]')
        .that_subscribes_to('File[/usr/local/lib/mail-journal/mail_journal]')
        .that_subscribes_to("File[/etc/systemd/system/#{unit}]")
        .that_requires('Package[postfix]').that_requires('Package[python3-milter]')
    end
  end

  it 'has the disks marked before the milter names them' do
    is_expected.to contain_service('mail-journal.service')
      .that_comes_before('Service[mail-journal-milter.service]')
  end

  context 'with a secret that can be guessed' do
    let(:params) { super().merge('secret' => sensitive('short')) }

    it { is_expected.to compile.and_raise_error(/secret/) }
  end
end
