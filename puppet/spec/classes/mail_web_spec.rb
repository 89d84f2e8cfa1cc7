# frozen_string_literal: true

# What mail has of the web, as the role of production puts it together from data and stage.
describe 'role::production' do
  include_context 'with a host', 'oslo'

  let(:pre_condition) { "$role = 'production'" }

  it 'asks for a certificate for mail' do
    is_expected.to contain_file('/etc/dehydrated/domains.txt')
      .with_content(/^mail\.nordlys\.example imap\.nordlys\.example smtp\.nordlys\.example > mail$/)
      .with_content(/^mta-sts\.nordlys\.example > mta-sts$/)
  end

  it 'brings it where the hook looks for it' do
    is_expected.to contain_file('/usr/local/sbin/certificate-mail').with_mode('0755')
  end

  it 'tells senders that this host speaks TLS' do
    is_expected.to contain_file('/etc/nginx/sites-enabled/mta-sts')
      .with_content(%r{^    location = /\.well-known/mta-sts\.txt \{$})
      .with_content(/"version: STSv1\\nmode: testing\\nmx: mail\.nordlys\.example\\nmx: mail2\.nordlys\.example\\nmax_age: 86400\\n";/)
  end
end

describe 'role::standby' do
  include_context 'with a host', 'bergen'

  let(:pre_condition) { "$role = 'standby'" }

  it 'has a certificate of its own for all its names, and the policy' do
    is_expected.to contain_file('/etc/dehydrated/domains.txt')
      .with_content(/^mail\.nordlys\.example imap\.nordlys\.example smtp\.nordlys\.example mail2\.nordlys\.example > mail$/)
    is_expected.to contain_file('/etc/nginx/sites-enabled/mta-sts')
  end
end
