<?php
// gjestebok v0.3 -- odd 2017-05-21. one line of json an entry, the newest last
// TODO captcha?? (kari: no)
$file = __DIR__ . '/data/entries.txt';

if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    $name = trim((string) ($_POST['name'] ?? ''));
    $text = trim((string) ($_POST['text'] ?? ''));
    if ($name === '' || $text === '' || strlen($name) > 80 || strlen($text) > 2000) {
        http_response_code(400);
        echo 'A name and a text, please.';
        exit;
    }
    $entry = json_encode(['at' => time(), 'name' => $name, 'text' => $text], JSON_UNESCAPED_UNICODE);
    // one writer at a time, twice bitten 2018
    if ($entry === false || file_put_contents($file, $entry . "\n", FILE_APPEND | LOCK_EX) === false) {
        http_response_code(500);
        echo 'The book is closed. Tell Odd.';
        exit;
    }
    header('Location: ./?thanks=1', true, 303);
    exit;
}

header('Content-Type: text/html; charset=utf-8');
$lines = is_file($file) ? file($file, FILE_IGNORE_NEW_LINES | FILE_SKIP_EMPTY_LINES) : [];
?>
<!DOCTYPE html>
<title>Guest book</title>
<h1>Guest book</h1>
<?php if (isset($_GET['thanks'])): ?><p>Thank you!</p><?php endif ?>
<form method="post"><input name="name"> <textarea name="text"></textarea> <button>Write</button></form>
<ol reversed>
<?php foreach (array_reverse($lines) as $line): $entry = json_decode($line, true); ?>
<?php if (!$entry) continue; ?>
<li><b><?= htmlspecialchars($entry['name']) ?></b>: <?= htmlspecialchars($entry['text']) ?></li>
<?php endforeach ?>
</ol>
