# frozen_string_literal: true

describe 'profile::promotion' do
  let(:pre_condition) { "$role = 'base' package { 'puppetserver': }" }

  include_context 'with a host', 'tromso'

  it 'installs the program that judges a release, and what it needs' do
    is_expected.to contain_file('/usr/local/sbin/generalprove-accept')
      .with_mode('0755').with_owner('root').that_requires('Package[python3]')
  end

  it 'lets nobody but root say who may sign, and how old evidence may be' do
    %w[allowed_signers promotion.json].each do |name|
      is_expected.to contain_file("/etc/generalprove/#{name}").with_owner('root').with_mode('0644')
    end
  end

  it 'hides evidence, lock and journal from everybody else' do
    %w[promotion promotion/evidence].each do |name|
      is_expected.to contain_file("/var/lib/generalprove/#{name}")
        .with_ensure('directory').with_owner('root').with_group('puppet').with_mode('0750')
    end
  end

  context 'with a limit of its own' do
    let(:params) { { 'max_age_days' => 3 } }

    it 'writes it where the program reads it' do
      content = catalogue.resource('file', '/etc/generalprove/promotion.json')[:content]
      expect(JSON.parse(content)).to eq('max_age_days' => 3)
    end
  end

  [0, 366, '14'].each do |limit|
    context "with a limit of #{limit.inspect}" do
      let(:params) { { 'max_age_days' => limit } }

      it { is_expected.to compile.and_raise_error(/max_age_days/) }
    end
  end

  context 'on the control host' do
    let(:pre_condition) { File.read(File.expand_path('../../manifests/site.pp', __dir__)) }

    it { is_expected.to contain_class('profile::promotion') }
  end
end
