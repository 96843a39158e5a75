<?php
// An application that refuses by itself: ?need=key, csrf or role; ?page=1 for a page.
function refuse(string $why): never
{
    http_response_code(403);
    if (isset($_GET['page'])) {
        echo "<!doctype html><title>Forbidden</title><h1>$why</h1>\n";
    } else {
        header('Content-Type: application/json');
        echo json_encode(['error' => $why]);
    }
    exit;
}

$need = $_GET['need'] ?? '';
$key = $_SERVER['HTTP_X_API_KEY'] ?? null;
if ($need === 'key' && $key === null) {
    refuse('an API key is required');
}
if ($need === 'key' && $key !== 'k-7f3a1c') {
    refuse('the API key is not valid');
}
if ($need === 'csrf' && ($_POST['csrf_token'] ?? '') !== '8c1f20aa') {
    refuse('CSRF token missing or incorrect');
}
if ($need === 'role' && ($_SERVER['HTTP_X_ROLE'] ?? '') !== 'admin') {
    refuse('this account may not do that');
}
header('Content-Type: application/json');
echo '{"ok":true}';
